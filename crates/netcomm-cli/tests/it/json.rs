//! Machine output.

use netcomm::http::testing::{Reply, ScriptedServer};
use serde_json::{Value, json};

use crate::stage::{Folder, command, netcomm, run, start};

#[tokio::test]
async fn a_response() {
    let server = ScriptedServer::builder()
        .route("/old", Reply::status(302).header("location", "/new"))
        .route("/new", Reply::status(200).header("x-a", "1").header("x-a", "2").body("grün"));
    let server = start(server).await;
    let ended = netcomm(&format!("get {} --json", server.url("/old"))).await.expect_code(0);
    let got = ended.json();
    assert_eq!(ended.stderr, "");
    for (name, expected) in [
        ("url", json!(server.url("/new"))),
        ("status", json!(200)),
        ("version", json!("HTTP/1.1")),
        ("headers", json!([["x-a", "1"], ["x-a", "2"], ["content-length", "5"]])),
        ("redirects", json!([server.url("/old")])),
        ("reused", json!(true)),
        ("peer", json!(server.address().to_string())),
        ("tls", Value::Null),
        ("body", json!({ "bytes": 5, "text": "grün" })),
    ] {
        assert_eq!(got[name], expected, "{name}");
    }
    let attempts: Vec<_> = attempts(&got).into_iter().map(|(reason, status, _)| (reason, status)).collect();
    assert_eq!(attempts, [(json!("first"), json!(302)), (json!("first"), json!(200))]);
    let timing = got["timing"].as_object().expect("an object");
    assert_eq!(timing["dns"], Value::Null);
    assert!(timing["total"].as_f64() > timing["wait"].as_f64(), "{timing:?}");
    assert!(timing["receive"].is_number(), "{timing:?}");
    assert_eq!(got.get("error"), None);
}

/// Why each request was sent, and what came of it.
fn attempts(got: &Value) -> Vec<(Value, Value, Value)> {
    let attempts = got["attempts"].as_array().expect("a list").iter();
    attempts.map(|one| (one["reason"].clone(), one["status"].clone(), one["error"].clone())).collect()
}

#[tokio::test]
async fn a_body_that_is_no_text_and_one_in_a_file() {
    let folder = Folder::new();
    let file = folder.path("out").display().to_string();
    let server = start(ScriptedServer::builder().handler(|_| Reply::status(200).body(&b"\xff\x00"[..]))).await;
    let ended = netcomm(&format!("get {} --json", server.url("/"))).await.expect_code(0);
    assert_eq!(ended.json()["body"], json!({ "bytes": 2, "base64": "/wA=" }));
    let ended = run(command(["get", &server.url("/"), "--json", "-o", &file])).await.expect_code(0);
    assert_eq!(ended.json()["body"], json!({ "bytes": 2, "file": file }));
    assert_eq!(folder.read("out"), b"\xff\x00");
}

#[tokio::test]
async fn an_error() {
    let server = ScriptedServer::builder()
        .route("/short", Reply::status(200).header("content-length", "9").body("half").then_close());
    let server = start(server).await;
    let url = server.url("/short");
    let ended = netcomm(&format!("get {url} --json")).await.expect_code(9);
    let got = ended.json();
    assert_eq!(ended.stderr, "");
    // The head had come.
    assert_eq!((&got["status"], &got["error"]["kind"]), (&json!(200), &json!("incomplete")));
    assert_eq!(got["error"]["url"], json!(url));
    assert_eq!(got.get("body"), None);

    let got = netcomm("get http://127.0.0.1:1/?token=hunter2 --json").await.expect_code(5).json();
    assert_eq!(got["error"]["kind"], json!("connect"));
    assert_eq!(got["error"]["url"], json!("http://127.0.0.1:1/"));
    assert_eq!(got["error"]["causes"].as_array().map(Vec::len), Some(1));
    assert_eq!(got.get("status"), None);
}

#[tokio::test]
async fn a_status_made_an_error() {
    let server = start(ScriptedServer::builder()).await;
    let got = netcomm(&format!("get {} --json --fail", server.url("/"))).await.expect_code(22).json();
    assert_eq!((&got["status"], &got["error"]["status"]), (&json!(404), &json!(404)));
    assert_eq!((&got["error"]["kind"], got.get("body")), (&json!("status"), None));
}
