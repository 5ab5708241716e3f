//! What is sent.

use netcomm::http::testing::{ReceivedRequest, Reply, ScriptedServer};

use crate::stage::{Folder, command, friendly, netcomm, run, run_with_stdin, start};

/// The request that these words send; URL is replaced.
async fn sent(line: &str) -> ReceivedRequest {
    let server = friendly().await;
    netcomm(&line.replace("URL", &server.url("/path"))).await.expect_code(0);
    server.take_requests().remove(0)
}

#[tokio::test]
async fn methods() {
    for (line, method) in [
        ("get URL", "GET"),
        ("head URL", "HEAD"),
        ("post URL", "POST"),
        ("put URL", "PUT"),
        ("patch URL", "PATCH"),
        ("delete URL", "DELETE"),
        ("request PROPFIND URL", "PROPFIND"),
    ] {
        assert_eq!(sent(line).await.method, method);
    }
}

#[tokio::test]
async fn headers_and_query() {
    let folder = Folder::new();
    let file = folder.write("fields", "X-Two: 2\n\nX-Three: 3\n");
    let server = friendly().await;
    let url = server.url("/path?a=1");
    let file = format!("@{}", file.display());
    let arguments = ["get", &url, "-H", "X-One: 1", "--header", &file, "--query", "b=x y", "--query", "c="];
    run(command(arguments)).await.expect_code(0);
    let request = server.take_requests().remove(0);
    for (name, value) in [("x-one", "1"), ("x-two", "2"), ("x-three", "3")] {
        assert_eq!(request.header(name), Some(value));
    }
    assert_eq!(request.query(), Some("a=1&b=x+y&c="));
    assert!(request.header("user-agent").is_some_and(|agent| agent.starts_with("netcomm/")));
    assert_eq!(request.header("content-type"), None);
}

#[tokio::test]
async fn bodies() {
    let request = sent("post URL -d hello").await;
    assert_eq!((request.text().as_str(), request.header("content-type")), ("hello", None));
    let request = sent("post URL --json-body {\"a\":1}").await;
    assert_eq!(request.text(), "{\"a\":1}");
    assert_eq!(request.header("content-type"), Some("application/json"));
    let request = sent("post URL --form a=1 --form b=x&y").await;
    assert_eq!(request.text(), "a=1&b=x%26y");
    assert_eq!(request.header("content-type"), Some("application/x-www-form-urlencoded"));

    let server = friendly().await;
    let ended = run_with_stdin(command(["put", &server.url("/"), "-d", "-"]), "from stdin").await;
    ended.expect_code(0);
    assert_eq!(server.take_requests()[0].text(), "from stdin");
}

#[tokio::test]
async fn multipart_with_a_file() {
    let folder = Folder::new();
    let file = folder.write("walk.txt", "through the wood");
    let server = friendly().await;
    let part = format!("photo=@{}", file.display());
    run(command(["post", &server.url("/"), "--multipart", "title=A walk", "--multipart", &part])).await.expect_code(0);
    let request = server.take_requests().remove(0);
    assert!(request.header("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data; boundary=")));
    let text = request.text();
    for piece in ["name=\"title\"", "A walk", "filename=\"walk.txt\"", "through the wood"] {
        assert!(text.contains(piece), "{piece} in {text}");
    }
}

#[tokio::test]
async fn a_file_is_sent_again_after_a_redirect() {
    let folder = Folder::new();
    let data = format!("@{}", folder.write("data", "x".repeat(100_000)).display());
    let server = ScriptedServer::builder()
        .route("/old", Reply::status(307).header("location", "/new"))
        .route("/new", Reply::status(201).body("made"));
    let server = start(server).await;
    let ended = run(command(["post", &server.url("/old"), "-d", &data])).await.expect_code(0);
    assert_eq!(ended.text(), "made");
    let requests = server.take_requests();
    assert_eq!(requests.iter().map(|request| request.body_bytes).collect::<Vec<_>>(), [100_000, 100_000]);
    assert_eq!(requests[1].header("content-length"), Some("100000"));
}

#[tokio::test]
async fn credentials_from_the_line_a_file_and_the_environment() {
    let folder = Folder::new();
    let file = format!("@{}", folder.write("token", "from-file\n").display());
    for (option, value, expected) in [
        ("--bearer", "plain", "Bearer plain"),
        ("--bearer", &file, "Bearer from-file"),
        ("--bearer", "env:SOME_TOKEN", "Bearer from-env"),
        ("--user", "test:123£", "Basic dGVzdDoxMjPCow=="),
    ] {
        let server = friendly().await;
        let mut command = command(["get", &server.url("/"), option, value]);
        command.env("SOME_TOKEN", "from-env");
        run(command).await.expect_code(0);
        assert_eq!(server.take_requests()[0].header("authorization"), Some(expected));
    }
}
