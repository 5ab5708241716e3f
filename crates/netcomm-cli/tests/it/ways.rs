//! Ways to a server: TLS with an authority and pins of one's own, a proxy, a Unix-domain socket, HTTP/2.

use std::sync::Arc;

use netcomm::http::testing::{Reply, ScriptedServer};
use netcomm_tests::TestCa;

use crate::stage::{Folder, command, friendly, netcomm, run, start};

#[tokio::test]
async fn tls_with_an_authority_of_ones_own() {
    let (folder, ca) = (Folder::new(), TestCa::new());
    let roots = folder.write("ca.pem", ca.pem()).display().to_string();
    let identity = Arc::new(ca.server(&["127.0.0.1"]));
    let server = ScriptedServer::builder().handler(|_| Reply::status(200).body("ok")).over("https", move |stream| {
        let identity = Arc::clone(&identity);
        async move { identity.accept(stream, &[b"http/1.1"]).await }
    });
    let server = start(server).await;
    let url = server.url("/");
    netcomm(&format!("get {url}")).await.expect_code(7);
    let ended = run(command(["get", &url, "--cacert", &roots, "--json"])).await.expect_code(0);
    assert_eq!(ended.json()["tls"]["version"], "TLSv1.3");
    let pin = "00".repeat(32);
    run(command(["get", &url, "--cacert", &roots, "--pin", &pin])).await.expect_code(7);
}

#[tokio::test]
async fn a_proxy_from_the_line_the_environment_or_none() {
    let proxy = start(ScriptedServer::builder().handler(|_| Reply::status(200).body("by proxy"))).await;
    let server = friendly().await;
    let (by, url) = (format!("http://{}", proxy.address()), server.url("/"));
    assert_eq!(run(command(["get", &url, "--proxy", &by])).await.expect_code(0).text(), "by proxy");
    for (option, expected) in [("-v", "by proxy"), ("--no-proxy", "ok")] {
        let mut command = command(["get", &url, option]);
        command.env("http_proxy", &by);
        assert_eq!(run(command).await.expect_code(0).text(), expected);
    }
    assert_eq!(proxy.take_requests()[0].target, url);
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_domain_socket() {
    let folder = Folder::new();
    // The name of such a socket is short by law; the working directory is not part of it.
    let listener = {
        let path = folder.path("s");
        tokio::net::UnixListener::bind(&path).expect("a socket")
    };
    let server = ScriptedServer::builder().handler(|_| Reply::status(200).body("by socket")).offline();
    let far = server.clone();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        far.serve(stream).await;
    });
    let path = folder.path("s").display().to_string();
    let ended = run(command(["get", "http://printer.example/jobs", "--unix-socket", &path])).await.expect_code(0);
    assert_eq!(ended.text(), "by socket");
    let request = server.take_requests().remove(0);
    assert_eq!((request.header("host"), request.path()), (Some("printer.example"), "/jobs"));
    task.abort();
}

#[tokio::test]
async fn http2_without_asking_is_really_spoken() {
    // A server of HTTP/1 sees the preface of HTTP/2 and has no answer to it.
    let server = friendly().await;
    let ended = netcomm(&format!("get {} --http2 --timeout 3", server.url("/"))).await;
    assert!(matches!(ended.code, Some(8..=10)), "{ended:?}");
    assert!(server.requests().iter().all(|request| request.method == "PRI"));
}
