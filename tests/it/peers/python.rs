//! Python: the standard library reads what the client sends, and says what it has read.

use std::path::Path;
use std::process::Command;

use http::header::{CONTENT_ENCODING, IF_MODIFIED_SINCE, LAST_MODIFIED};
use http::{Method, StatusCode, Version};
use netcomm_core::ErrorKind;
use netcomm_http::multipart::{Form, Part};
use netcomm_http::{Client, CookieJar, Response};
use serde_json::{Value, json};

use super::process::{Folder, Peer};
use super::{client, in_pieces, noise};

const TEXT: &str = "the same line again and again\n";

async fn start(program: &Path) -> Peer {
    let folder = Folder::new();
    let script = folder.write("server.py", include_str!("server.py"));
    let mut command = Command::new(program);
    command.arg("-u").arg(script);
    Peer::start(folder, command).await
}

async fn send(request: netcomm_http::RequestBuilder) -> Response {
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    response
}

async fn told(request: netcomm_http::RequestBuilder) -> Value {
    send(request).await.json().await.expect("JSON")
}

fn plain() -> Client {
    client().build().expect("a client")
}

#[tokio::test]
async fn bodies_arrive_as_they_were_sent() {
    let program = program_or_skip!("python3");
    let (python, client) = (start(&program).await, plain());
    let large = noise(1_000_000);
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request = client.request(method, python.url("/echo")).body("héllo\r\n\r\n");
        assert_eq!(send(request).await.text().await.expect("a body"), "héllo\r\n\r\n");
    }
    let response = send(client.post(python.url("/echo")).body(large.clone())).await;
    assert_eq!(response.headers()["x-length"], "1000000");
    assert!(response.bytes().await.expect("a body") == large, "the bytes differ");
}

/// RFC 9110 §8.6: some servers answer 411 otherwise.
#[tokio::test]
async fn a_method_that_expects_a_body_says_that_there_is_none() {
    let program = program_or_skip!("python3");
    let (python, client) = (start(&program).await, plain());
    for (method, expected) in [(Method::POST, "0"), (Method::PUT, "0"), (Method::PATCH, "0"), (Method::GET, "none")] {
        let response = send(client.request(method.clone(), python.url("/echo"))).await;
        assert_eq!(response.headers()["x-length"], expected, "{method}");
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_is_chunked() {
    let program = program_or_skip!("python3");
    let (python, client) = (start(&program).await, plain());
    let content = noise(300_000);
    for piece_bytes in [1000, 65_536, 300_000] {
        let body = in_pieces(&content, piece_bytes);
        let response = send(client.post(python.url("/echo")).body(body)).await;
        assert_eq!(response.headers()["x-length"], "none");
        assert!(response.bytes().await.expect("a body") == content, "in pieces of {piece_bytes}: the bytes differ");
    }
    let nothing = send(client.post(python.url("/echo")).body(in_pieces(&content.slice(..0), 1))).await;
    assert_eq!(nothing.bytes().await.expect("a body"), "");
    let last = send(client.post(python.url("/echo")).body("on the same connection")).await;
    assert_eq!(last.connection(), Some(1));
}

#[tokio::test]
async fn queries_forms_and_json_are_read_as_they_were_meant() {
    let program = program_or_skip!("python3");
    let (python, client) = (start(&program).await, plain());
    let pairs = [("plain", "a b"), ("signs", "&=+%#?/;"), ("umlaut ä", "ö€😀"), ("empty", ""), ("plain", "twice")];
    let expected = json!(pairs);
    assert_eq!(told(client.get(python.url("/query")).query(&pairs)).await, expected);
    let form = told(client.post(python.url("/form")).form(&pairs)).await;
    assert_eq!(form, json!(["application/x-www-form-urlencoded", pairs]));
    let value = json!({"a": [1, 2.5, null, "ö\u{0}\u{2028}"]});
    assert_eq!(told(client.post(python.url("/json")).json(&value)).await, json!(["application/json", value]));
}

#[tokio::test]
async fn forms_of_several_parts_are_read_as_they_were_meant() {
    let program = program_or_skip!("python3");
    let (python, client) = (start(&program).await, plain());
    let binary = noise(5000);
    let form = || {
        Form::new()
            .text("title", "A walk\r\n--not the boundary")
            .text("empty", "")
            .part("photo", Part::bytes(binary.clone()).file_name("walk.png").content_type("image/png").expect("a type"))
            .part("photo", Part::bytes("second").file_name("a b;c.txt"))
            .part("streamed", Part::stream(in_pieces(&binary, 700)).file_name("s"))
    };
    let text = |bytes: &[u8]| bytes.iter().copied().map(char::from).collect::<String>();
    let expected = json!([
        {"name": "title", "file": null, "type": "text/plain", "content": "A walk\r\n--not the boundary", "defects": 0},
        {"name": "empty", "file": null, "type": "text/plain", "content": "", "defects": 0},
        {"name": "photo", "file": "walk.png", "type": "image/png", "content": text(&binary), "defects": 0},
        {"name": "photo", "file": "a b;c.txt", "type": "application/octet-stream", "content": "second", "defects": 0},
        {"name": "streamed", "file": "s", "type": "application/octet-stream", "content": text(&binary), "defects": 0},
    ]);
    assert_eq!(told(client.post(python.url("/multipart")).multipart(form())).await, expected);
}

#[tokio::test]
async fn cookies_come_back_and_go() {
    let program = program_or_skip!("python3");
    let python = start(&program).await;
    let client = client().cookies(CookieJar::new()).build().expect("a client");
    let cookies = || told(client.get(python.url("/cookies")));
    assert_eq!(cookies().await, json!({}));
    send(client.get(python.url("/cookies/set?session=abc123&quoted=a%20b%3Bc%22d&other=1"))).await;
    assert_eq!(cookies().await, json!({"session": "abc123", "quoted": "a b;c\"d", "other": "1"}));
    assert_eq!(told(client.get(python.url("/elsewhere"))).await, json!({}), "their path is /cookies");
    send(client.get(python.url("/cookies/set?session=def456"))).await;
    send(client.get(python.url("/cookies/expire?quoted"))).await;
    assert_eq!(cookies().await, json!({"session": "def456", "other": "1"}));
    assert_eq!(told(plain().get(python.url("/cookies"))).await, json!({}), "another client has another jar");
}

#[tokio::test]
async fn codings_are_taken_off() {
    let program = program_or_skip!("python3");
    let (python, client) = (start(&program).await, plain());
    for coding in ["gzip", "deflate", "raw-deflate"] {
        let response = send(client.get(format!("{}?{coding}", python.url("/coded")))).await;
        assert_eq!(response.headers().get(CONTENT_ENCODING), None);
        assert!(response.text().await.expect("a body") == TEXT.repeat(2000), "{coding}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_its_connection_and_one_with_a_length_does_not() {
    let program = program_or_skip!("python3");
    let (python, client) = (start(&program).await, plain());
    let response = send(client.get(python.url("/until-close"))).await;
    assert_eq!(response.content_length(), None);
    assert!(response.text().await.expect("a body") == TEXT.repeat(2000), "the text differs");
    let error = send(client.get(python.url("/short"))).await.bytes().await.expect_err("81 bytes are missing");
    assert_eq!(error.kind(), ErrorKind::Incomplete);
}

#[tokio::test]
async fn a_server_of_http_1_0_is_spoken_to() {
    let program = program_or_skip!("python3");
    let folder = Folder::new();
    folder.write("www/sub/hello.txt", "hello from python\n");
    let mut command = Command::new(program);
    command.args(["-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", "www"]);
    let python = Peer::start(folder, command).await;
    let client = plain();

    let file = send(client.get(python.url("/sub/hello.txt"))).await;
    assert_eq!((file.version(), file.content_length()), (Version::HTTP_10, Some(18)));
    let modified = file.headers()[LAST_MODIFIED].clone();
    assert_eq!(file.text().await.expect("a body"), "hello from python\n");
    let head = send(client.head(python.url("/sub/hello.txt"))).await;
    assert_eq!(head.headers()["content-length"], "18");
    let request = client.get(python.url("/sub/hello.txt")).header(IF_MODIFIED_SINCE, modified);
    assert_eq!(request.send().await.expect("an answer").status(), StatusCode::NOT_MODIFIED);
    let listing = send(client.get(python.url("/sub"))).await;
    assert_eq!(listing.uri().path(), "/sub/", "the folder was found by a redirect");
    assert!(listing.text().await.expect("a body").contains("hello.txt"));
    let missing = client.get(python.url("/missing")).send().await.expect("an answer");
    assert_eq!((missing.status(), missing.connection()), (StatusCode::NOT_FOUND, Some(6)), "each call has its own");
}
