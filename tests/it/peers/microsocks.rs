//! SOCKS version 5 by microsocks, with and without a password.

use std::path::Path;
use std::process::Command;

use netcomm_core::{ErrorKind, Policy, PrivateAddresses};
use netcomm_dial::{Dialer, Proxies};
use netcomm_http::Client;
use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_tests::TestCa;

use super::nginx;
use super::process::{Folder, Peer};
use super::{client_behind, client_over};

const USER: [&str; 4] = ["-u", "alice", "-P", "p@ss:w/rd"];
/// What microsocks prints of each request to connect.
const ASKED: &str = "connected to";

async fn start(program: &Path, args: &[&str]) -> Peer {
    Peer::start_on_port(Folder::new(), |port, _| {
        let mut command = Command::new(program);
        command.args(["-i", "127.0.0.1", "-p", &port.to_string()]).args(args);
        command
    })
    .await
}

async fn target() -> ScriptedServer {
    ScriptedServer::builder().route("/", Reply::status(200).body("reached")).start().await.expect("a server")
}

fn behind(url: &str) -> Client {
    client_over(Dialer::builder().proxies(Proxies::all(url).expect("a proxy"))).build().expect("a client")
}

async fn reach(client: &Client, server: &ScriptedServer) {
    let response = client.get(server.url("/")).send().await.expect("an answer");
    assert_eq!(response.text().await.expect("a body"), "reached");
}

#[tokio::test]
async fn names_are_resolved_here_or_there() {
    let program = program_or_skip!("microsocks");
    let (proxy, server) = (start(&program, &[]).await, target().await);
    for scheme in ["socks5", "socks5h"] {
        let client = behind(&format!("{scheme}://{}", proxy.address()));
        reach(&client, &server).await;
        let named = server.url("/").replace("127.0.0.1", "localhost");
        let response = client.get(named).send().await.expect("an answer");
        assert_eq!(response.text().await.expect("a body"), "reached", "{scheme}");
        assert_eq!(response_host(&server), format!("localhost:{}", server.address().port()));
    }
    let said = proxy.said();
    assert_eq!(said.matches("connected to localhost:").count(), 1, "only socks5h leaves the name to the proxy: {said}");
    assert_eq!(said.matches(ASKED).count(), 4, "{said}");
}

fn response_host(server: &ScriptedServer) -> String {
    let requests = server.requests();
    requests.last().and_then(|request| request.header("host")).expect("a Host field").to_owned()
}

#[tokio::test]
async fn a_password_opens_the_proxy_and_nothing_else_does() {
    let program = program_or_skip!("microsocks");
    let (proxy, server) = (start(&program, &USER).await, target().await);
    reach(&behind(&format!("socks5://alice:p%40ss%3Aw%2Frd@{}", proxy.address())), &server).await;
    let apart =
        Proxies::builder().all(format!("socks5h://{}", proxy.address())).credentials("alice", "p@ss:w/rd").build();
    let dialer = Dialer::builder().proxies(apart.expect("a proxy"));
    reach(&client_over(dialer).build().expect("a client"), &server).await;
    assert_eq!(server.connections(), 2);

    for user in ["", "alice:wrong@", "bob:p%40ss%3Aw%2Frd@"] {
        let client = behind(&format!("socks5://{user}{}", proxy.address()));
        let error = client.get(server.url("/")).send().await.expect_err("refused");
        assert_eq!((error.kind(), error.is_unsent()), (ErrorKind::Proxy, true), "{user}");
    }
    assert_eq!(server.connections(), 2, "nobody else came through");
}

#[tokio::test]
async fn a_target_that_is_not_there_is_the_proxys_failure() {
    let program = program_or_skip!("microsocks");
    let (proxy, server) = (start(&program, &[]).await, target().await);
    let url = server.url("/");
    drop(server);
    let client = behind(&format!("socks5://{}", proxy.address()));
    let error = client.get(url).send().await.expect_err("nobody listens");
    assert_eq!((error.kind(), error.is_connect()), (ErrorKind::Proxy, true), "{error:?}");
}

#[tokio::test]
async fn tls_and_http_2_pass_through() {
    let program = program_or_skip!("microsocks");
    let nginx_program = program_or_skip!("nginx");
    let (folder, ca) = (Folder::new(), TestCa::new());
    let server = nginx::tls(&folder, &ca, "ssl http2");
    let (nginx, proxy) = (nginx::start(&nginx_program, folder, &server).await, start(&program, &[]).await);
    let proxies = Proxies::all(&format!("socks5://{}", proxy.address())).expect("a proxy");
    let client = client_behind(proxies, &ca).build().expect("a client");
    let response = client.get(nginx.secure_url("/hello.txt")).send().await.expect("an answer");
    assert_eq!((response.version(), response.peer()), (http::Version::HTTP_2, Some(proxy.address())));
    assert_eq!(response.text().await.expect("a body"), "hello from nginx\n");
}

#[tokio::test]
async fn the_guard_denies_before_the_proxy_is_asked() {
    let program = program_or_skip!("microsocks");
    let (proxy, server) = (start(&program, &[]).await, target().await);
    let guard = Policy::default().with_private_addresses(PrivateAddresses::Deny);
    for scheme in ["socks5", "socks5h"] {
        let proxies = Proxies::all(&format!("{scheme}://{}", proxy.address())).expect("a proxy");
        let client = client_over(Dialer::builder().proxies(proxies)).policy(guard.clone()).build().expect("a client");
        for host in ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "[::ffff:127.0.0.1]"] {
            let url = server.url("/").replace("127.0.0.1", host);
            let error = client.get(url).send().await.expect_err("denied");
            assert_eq!(error.kind(), ErrorKind::Denied, "{scheme} {host}: {error:?}");
        }
    }
    assert_eq!(server.connections(), 0);
    reach(&behind(&format!("socks5://{}", proxy.address())), &server).await;
    assert_eq!(proxy.said().matches(ASKED).count(), 1, "the proxy was asked only by whoever has no guard");
}
