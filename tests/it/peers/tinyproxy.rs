//! HTTP proxying by tinyproxy: plain requests forwarded, tunnels by CONNECT, with and without a password.

use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use http::StatusCode;
use netcomm_core::{ErrorKind, Policy, PrivateAddresses, Result};
use netcomm_dial::{Answer, Dialer, Proxies, Resolve};
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_tests::TestCa;

use super::nginx;
use super::process::{Folder, Peer};
use super::{client_behind, client_over};

const USER: &str = "BasicAuth alice secret";
/// What tinyproxy prints of each connection that it accepts.
const ACCEPTED: &str = "Connect (file descriptor";

async fn start(program: &Path, more: &str) -> Peer {
    let mut proxy = Peer::start_on_port(Folder::new(), |port, folder| {
        let conf = format!("Port {port}\nListen 127.0.0.1\nTimeout 10\nMaxClients 50\nLogLevel Connect\n{more}\n");
        let mut command = Command::new(program);
        command.arg("-d").arg("-c").arg(folder.write("tinyproxy.conf", conf));
        command
    })
    .await;
    // The connection by which it was found to listen is none of the test's.
    proxy.until_said(ACCEPTED).await;
    proxy
}

fn accepted(proxy: &Peer) -> usize {
    proxy.said().matches(ACCEPTED).count() - 1
}

fn via(proxy: &Peer, user: &str) -> Proxies {
    Proxies::all(&format!("http://{user}{}", proxy.address())).expect("a proxy")
}

async fn target() -> ScriptedServer {
    ScriptedServer::builder().route("/", Reply::status(200).body("reached")).start().await.expect("a server")
}

#[tokio::test]
async fn plain_requests_are_forwarded() {
    let program = program_or_skip!("tinyproxy");
    let (proxy, server) = (start(&program, "").await, target().await);
    let client = client_over(Dialer::builder().proxies(via(&proxy, ""))).build().expect("a client");
    for _ in 0..3 {
        let response = client.get(server.url("/?q=1")).send().await.expect("an answer");
        assert_eq!((response.status(), response.peer()), (StatusCode::OK, Some(proxy.address())));
        assert_eq!(response.text().await.expect("a body"), "reached");
    }
    for request in server.requests() {
        assert_eq!((request.path(), request.query()), ("/", Some("q=1")));
        assert!(request.header("via").is_some_and(|via| via.contains("tinyproxy")), "{request:?}");
        assert_eq!(request.header("host"), Some(server.address().to_string().as_str()));
    }
    assert_eq!(server.request_count(), 3);
}

#[tokio::test]
async fn a_password_opens_the_forwarding_proxy_and_goes_no_further() {
    let program = program_or_skip!("tinyproxy");
    let (proxy, server) = (start(&program, USER).await, target().await);
    let client = |user| client_over(Dialer::builder().proxies(via(&proxy, user))).build().expect("a client");
    let response = client("alice:secret@").get(server.url("/")).send().await.expect("an answer");
    assert_eq!(response.text().await.expect("a body"), "reached");
    assert_eq!(server.requests()[0].header("proxy-authorization"), None);
    for user in ["", "alice:wrong@"] {
        let response = client(user).get(server.url("/")).send().await.expect("the proxy's answer");
        let expected =
            if user.is_empty() { StatusCode::PROXY_AUTHENTICATION_REQUIRED } else { StatusCode::UNAUTHORIZED };
        assert!(
            response.status() == expected || response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED,
            "{response:?}"
        );
    }
    assert_eq!(server.request_count(), 1);
}

#[tokio::test]
async fn tls_passes_through_a_tunnel() {
    let program = program_or_skip!("tinyproxy");
    let nginx_program = program_or_skip!("nginx");
    let (folder, ca) = (Folder::new(), TestCa::new());
    let server = nginx::tls(&folder, &ca, "ssl http2");
    let (nginx, proxy) = (nginx::start(&nginx_program, folder, &server).await, start(&program, USER).await);
    let client = client_behind(via(&proxy, "alice:secret@"), &ca).build().expect("a client");
    let response = client.get(nginx.secure_url("/hello.txt")).send().await.expect("an answer");
    assert_eq!((response.version(), response.peer()), (http::Version::HTTP_2, Some(proxy.address())));
    assert_eq!(response.text().await.expect("a body"), "hello from nginx\n");
    assert!(proxy.said().contains(&format!("CONNECT {}", nginx.address())), "{}", proxy.said());

    for user in ["", "alice:wrong@"] {
        let client = client_behind(via(&proxy, user), &ca).build().expect("a client");
        let error = client.get(nginx.secure_url("/")).send().await.expect_err("no tunnel");
        assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Proxy, true), "{error:?}");
        assert!(error.status().is_some_and(|status| matches!(status.as_u16(), 401 | 407)), "{error:?}");
    }
}

#[tokio::test]
async fn a_port_that_the_proxy_forbids_is_its_refusal() {
    let program = program_or_skip!("tinyproxy");
    let proxy = start(&program, "ConnectPort 443").await;
    let client = client_behind(via(&proxy, ""), &TestCa::new()).build().expect("a client");
    let error = client.get("https://127.0.0.1:1/").send().await.expect_err("no tunnel");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Proxy, Some(StatusCode::FORBIDDEN)), "{error:?}");
}

#[tokio::test]
async fn the_guard_denies_before_the_proxy_is_asked() {
    let program = program_or_skip!("tinyproxy");
    let (proxy, server) = (start(&program, "").await, target().await);
    let guard = Policy::default().with_private_addresses(PrivateAddresses::Deny);
    let guarded = client_over(Dialer::builder().proxies(via(&proxy, ""))).policy(guard).build().expect("a client");
    for scheme in ["http", "https"] {
        for host in ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "[::ffff:127.0.0.1]"] {
            let url = format!("{scheme}://{host}:{}/", server.address().port());
            let error = guarded.get(url).send().await.expect_err("denied");
            assert_eq!(error.kind(), ErrorKind::Denied, "{scheme} {host}: {error:?}");
        }
    }
    assert_eq!((accepted(&proxy), server.connections()), (0, 0));
    let open = client_over(Dialer::builder().proxies(via(&proxy, ""))).build().expect("a client");
    drop(open.get(server.url("/")).send().await.expect("an answer"));
    assert_eq!(accepted(&proxy), 1, "the proxy was asked only by whoever has no guard");
}

/// Finds the same address for every name.
struct Always(IpAddr);

impl Resolve for Always {
    async fn resolve(&self, _name: &str) -> Result<Answer> {
        Ok(Answer::new(vec![self.0]))
    }
}

#[tokio::test]
async fn with_the_guard_the_proxy_is_asked_for_the_checked_address() {
    let program = program_or_skip!("tinyproxy");
    // The proxy refuses the port, so that nobody out there is called.
    let proxy = start(&program, "ConnectPort 443").await;
    let guard = Policy::default().with_private_addresses(PrivateAddresses::Deny);
    let at = |address: &str| {
        let resolver = Always(address.parse().expect("an address"));
        let dialer = Dialer::builder().proxies(via(&proxy, "")).resolver(resolver);
        client_over(dialer).policy(guard.clone()).build().expect("a client")
    };
    for url in ["http://peer.example:1/", "https://peer.example:1/"] {
        let error = at("93.184.216.34").get(url).send().await.expect_err("the port is forbidden");
        assert_eq!((error.kind(), error.status()), (ErrorKind::Proxy, Some(StatusCode::FORBIDDEN)), "{error:?}");
        let error = at("10.0.0.1").get(url).send().await.expect_err("denied");
        assert_eq!(error.kind(), ErrorKind::Denied, "{error:?}");
    }
    let said = proxy.said();
    assert_eq!(said.matches("CONNECT 93.184.216.34:1 ").count(), 2, "{said}");
    assert!(!said.contains("peer.example") && !said.contains("10.0.0.1"), "{said}");
}
