//! Connections without proxy and TLS: names, addresses, Unix-domain sockets, and the guard.

use netcomm_core::{Dial, Env, ErrorKind, Host, PrivateAddresses, Target};
use netcomm_dial::{Dialer, DialerBuilder, Proxies, ProxiesBuilder, Resolve, SystemClock, SystemResolver};

use crate::servers::{assert_echo, builder, echo, target};

#[tokio::test]
async fn by_name_and_by_address() {
    let address = echo().await;
    let dialer = builder().build();
    for host in ["a.example", "127.0.0.1", "0x7f.1"] {
        let io = dialer.dial(&target(host, address.port())).await.expect("a connection");
        assert_eq!(io.info().peer, Some(address));
        assert!(io.info().local.is_some_and(|local| local.ip() == address.ip()));
        assert_eq!(io.info().steps.dns.is_some(), host == "a.example");
        assert!(io.info().steps.connect.is_some() && io.info().tls.is_none() && io.info().alpn.is_none());
        assert_echo(io).await;
    }
}

#[tokio::test]
async fn the_system_knows_this_machine() {
    let answer = SystemResolver.resolve("localhost").await.expect("addresses");
    assert!(answer.addresses().iter().all(std::net::IpAddr::is_loopback) && answer.ttl().is_none());
    let address = echo().await;
    let dialer = Dialer::builder().proxies(Proxies::none()).build();
    assert_echo(dialer.dial(&target("localhost", address.port())).await.expect("a connection")).await;
}

#[tokio::test]
async fn the_guard_keeps_out_of_this_machine() {
    let dialer = builder().build();
    for host in ["a.example", "127.0.0.1", "2130706433", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]"] {
        let target = target(host, 80).with_private_addresses(PrivateAddresses::Deny);
        assert!(dialer.dial(&target).await.is_err_and(|error| error.is_denied()), "{host}");
    }
}

#[tokio::test]
async fn nobody_listens() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    drop(listener);
    let error = builder().build().dial(&target("a.example", port)).await.expect_err("must fail");
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.detail().is_some_and(|detail| detail.starts_with(&format!("127.0.0.1:{port}: "))), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket() {
    let directory = std::env::temp_dir().join(format!("netcomm-dial-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let path = directory.join("socket");
    let listener = tokio::net::UnixListener::bind(&path).expect("a listener");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        crate::servers::echo_on(stream).await;
    });
    // Neither proxies nor the guard have a say here.
    let dialer = builder().proxies(Proxies::all("http://127.0.0.1:9").expect("a proxy")).build();
    let target = Target::unix(&path).with_private_addresses(PrivateAddresses::Deny);
    let io = dialer.dial(&target).await.expect("a connection");
    assert!(io.info().peer.is_none() && io.info().steps.connect.is_some());
    assert_echo(io).await;

    let missing = dialer.dial(&Target::unix(directory.join("missing"))).await.expect_err("must fail");
    assert_eq!(missing.kind(), ErrorKind::Connect);
    std::fs::remove_dir_all(&directory).expect("its end");
}

#[tokio::test]
async fn one_line_makes_an_environment() {
    let env: Env = netcomm_dial::env();
    let target = Target::tcp(Host::V4([127, 0, 0, 1].into()), 80).with_private_addresses(PrivateAddresses::Deny);
    // Whatever the proxies of this process are: the guard comes first.
    assert!(env.dialer().dial(&target).await.is_err_and(|error| error.is_denied()));
}

#[test]
fn public_types_may_be_shared() {
    fn shared<T: Send + Sync + std::fmt::Debug>() {}
    shared::<Dialer>();
    shared::<DialerBuilder>();
    shared::<Proxies>();
    shared::<ProxiesBuilder>();
    shared::<SystemClock>();
    shared::<SystemResolver>();
}

#[cfg(feature = "hickory")]
#[tokio::test]
async fn hickory_reads_the_hosts_file() {
    use netcomm_dial::HickoryResolver;

    // Asks no server: the name stands in the hosts file, or is known to mean this machine (RFC 6761
    // §6.3).
    let resolver = HickoryResolver::from_system().expect("a resolver");
    let answer = resolver.resolve("localhost").await.expect("addresses");
    assert!(answer.addresses().iter().all(std::net::IpAddr::is_loopback) && answer.ttl().is_some());
}
