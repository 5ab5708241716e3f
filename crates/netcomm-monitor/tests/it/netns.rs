//! Real changes of a real kernel, in a network namespace, and when a source of paths tells of them.

mod addresses;
mod links;
mod lost;
mod routes;
mod watch;

use netcomm_tests::{CABLES, ip};

/// The lab's cables, and a default route over `p0`.
fn cables() {
    ip(CABLES);
    ip("route add default via 10.0.0.2 dev p0 metric 100");
}
