//! Real changes of a real kernel, in a network namespace, and when a source of paths tells of them.

mod addresses;
mod links;
mod lost;
mod routes;
mod watch;

use netcomm_tests::ip;

/// A cable `p0`-`p1` and a cable `q0`-`q1`, all plugged in, with addresses at `p0` and `q0` and the default route over `p0`.
/// They have no link-local addresses: the kernel gives these in its own time, and tells of them late.
fn cables() {
    ip("link set lo up
link add name p0 type veth peer name p1
link add name q0 type veth peer name q1
link set p0 addrgenmode none
link set p1 addrgenmode none
link set q0 addrgenmode none
link set q1 addrgenmode none
link set p0 up
link set p1 up
link set q0 up
link set q1 up
addr add 10.0.0.1/24 dev p0
addr add 10.0.1.1/24 dev q0
route add default via 10.0.0.2 dev p0 metric 100");
}
