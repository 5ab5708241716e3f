//! Connections through proxies: tunnels, SOCKS5, credentials, and what the guard makes of them.

use netcomm_core::{Dial, ErrorKind, PrivateAddresses, Result};
use netcomm_dial::{Answer, Proxies, Resolve};

use crate::servers::{Log, assert_echo, builder, echo, http_proxy, socks_proxy, target};

/// A public address in front of the proxies, which lead everything to a server of this test.
struct Public(&'static [&'static str]);

impl Resolve for Public {
    async fn resolve(&self, _: &str) -> Result<Answer> {
        Ok(self.0.iter().map(|text| text.parse().expect("an address")).collect::<Vec<_>>().into())
    }
}

fn proxies(scheme: &str, credentials: &str, address: std::net::SocketAddr) -> Proxies {
    Proxies::all(&format!("{scheme}://{credentials}@{address}")).expect("a proxy")
}

#[tokio::test]
async fn http_tunnels() {
    let (log, end) = (Log::default(), echo().await);
    let proxy = http_proxy(log.clone(), end).await;
    let dialer = builder().proxies(proxies("http", "user:pass", proxy)).resolver(Public(&["1.1.1.1"])).build();
    let target = target("a.example", 443);
    let io = dialer.dial(&target).await.expect("a tunnel");
    assert_eq!(io.info().peer, Some(proxy));
    assert!(io.info().steps.proxy.is_some());
    assert_echo(io).await;
    let guarded = target.with_private_addresses(PrivateAddresses::Deny);
    assert_echo(dialer.dial(&guarded).await.expect("a tunnel")).await;
    assert_eq!(log.lines(), ["CONNECT a.example:443 HTTP/1.1", "CONNECT 1.1.1.1:443 HTTP/1.1"]);
}

#[tokio::test]
async fn http_credentials() {
    let proxy = http_proxy(Log::default(), echo().await).await;
    for (credentials, words) in [("user:wrong", "does not accept the credentials"), ("", "asks for credentials")] {
        let url = format!("http://{credentials}@{proxy}").replace("//@", "//");
        let dialer = builder().proxies(Proxies::all(&url).expect("a proxy")).build();
        let error = dialer.dial(&target("a.example", 443)).await.expect_err("must be refused");
        assert_eq!((error.kind(), error.status().map(|status| status.as_u16())), (ErrorKind::Proxy, Some(407)));
        assert!(error.detail().is_some_and(|detail| detail.contains(words)), "{error}");
    }
    let proxies = Proxies::builder().all(format!("http://{proxy}")).credentials("user", "pass").build();
    let dialer = builder().proxies(proxies.expect("a proxy")).build();
    assert_echo(dialer.dial(&target("a.example", 443)).await.expect("a tunnel")).await;
}

#[tokio::test]
async fn socks_tunnels() {
    let (log, end) = (Log::default(), echo().await);
    let proxy = socks_proxy(log.clone(), end).await;
    let target = target("a.example", 443);
    let guarded = target.clone().with_private_addresses(PrivateAddresses::Deny);
    for (scheme, target, expected) in [
        ("socks5h", &target, "name a.example 443"),
        ("socks5", &target, "v4 [1, 1, 1, 1] 443"),
        ("socks5h", &guarded, "v4 [1, 1, 1, 1] 443"),
    ] {
        let dialer = builder().proxies(proxies(scheme, "user:pass", proxy)).resolver(Public(&["1.1.1.1"])).build();
        let io = dialer.dial(target).await.expect("a tunnel");
        assert_eq!(io.info().peer, Some(proxy));
        assert_echo(io).await;
        assert_eq!(log.lines().last().map(String::as_str), Some(expected));
    }
}

#[tokio::test]
async fn socks_takes_the_next_address_if_the_first_is_out_of_reach() {
    let (log, end) = (Log::default(), echo().await);
    let proxy = socks_proxy(log.clone(), end).await;
    let resolver = Public(&["2606:4700::1", "1.1.1.1"]);
    let dialer = builder().proxies(proxies("socks5", "user:pass", proxy)).resolver(resolver).build();
    assert_echo(dialer.dial(&target("a.example", 443)).await.expect("a tunnel")).await;
    assert_eq!(log.lines(), ["v6 [38, 6] 443", "v4 [1, 1, 1, 1] 443"]);

    let dialer = builder().proxies(proxies("socks5", "user:pass", proxy)).resolver(Public(&["2606:4700::1"])).build();
    let error = dialer.dial(&target("a.example", 443)).await.expect_err("must fail");
    assert_eq!(error.kind(), ErrorKind::Proxy);
    assert!(error.detail().is_some_and(|detail| detail.contains("does not reach it: [2606:4700::1]:443")), "{error}");
}

#[tokio::test]
async fn socks_credentials() {
    let proxy = socks_proxy(Log::default(), echo().await).await;
    for (url, words) in [
        (format!("socks5h://user:wrong@{proxy}"), "does not accept the credentials"),
        (format!("socks5h://{proxy}"), "asks for credentials"),
    ] {
        let dialer = builder().proxies(Proxies::all(&url).expect("a proxy")).build();
        let error = dialer.dial(&target("a.example", 443)).await.expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Proxy);
        assert!(error.detail().is_some_and(|detail| detail.contains(words)), "{error}");
        assert!(!format!("{error:?}").contains("wrong"));
    }
}

#[tokio::test]
async fn whoever_is_on_the_list_needs_no_proxy() {
    let (log, end) = (Log::default(), echo().await);
    let proxy = http_proxy(log.clone(), end).await;
    let vars = move |name: &str| match name {
        "http_proxy" => Some(format!("http://{proxy}")),
        "NO_PROXY" => Some("inner.example".to_owned()),
        _ => None,
    };
    let dialer = builder().proxies(Proxies::from_vars(vars)).build();
    let io = dialer.dial(&target("a.inner.example", end.port())).await.expect("a connection");
    assert_eq!(io.info().peer, Some(end));
    assert_echo(io).await;
    assert_eq!(log.lines().len(), 0);
}
