//! The ready codecs on the wire.

use bytes::Bytes;
use http::Request;
use netcomm_core::ErrorKind;
use netcomm_http::batch::{Batcher, JsonRpc, MultipartMixed, RpcError};
use netcomm_http::testing::{ReceivedRequest, Reply, ScriptedServer};
use serde_json::{Value, json};

use super::{URL, json as reply};
use crate::stage::{Stage, soon, stage};

fn rpc(answer: impl Fn(Value) -> Reply + Send + Sync + 'static) -> (Stage, Batcher<JsonRpc>) {
    let stage = stage(
        ScriptedServer::builder()
            .handler(move |request: &ReceivedRequest| answer(serde_json::from_slice(&request.body).expect("json"))),
    );
    let batcher = Batcher::builder(&stage.client(), URL, JsonRpc::new()).build().expect("a batcher");
    (stage, batcher)
}

#[tokio::test(start_paused = true)]
async fn json_rpc_in_any_order_with_an_error_among_them() {
    let (stage, batcher) = rpc(|batch| {
        let answer = |call: &Value| match call["method"].as_str().unwrap() {
            "add" => {
                let sum: u64 = call["params"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).sum();
                json!({"jsonrpc": "2.0", "id": call["id"], "result": sum})
            }
            _ => {
                json!({"jsonrpc": "2.0", "id": call["id"], "error": {"code": -32601, "message": "no such method", "data": call["method"]}})
            }
        };
        let calls = batch.as_array().unwrap();
        let answers: Vec<_> = calls.iter().filter(|call| call.get("id").is_some()).rev().map(answer).collect();
        reply(Value::from(answers).to_string())
    });
    let line = json!({"line": "x"});
    let (first, told, lost, second) = soon(async {
        tokio::join!(
            batcher.request::<u64>("add", &(1, 2)),
            batcher.notify("log", &line),
            batcher.request::<u64>("subtract", &(1, 2)),
            batcher.request::<u64>("add", &[3, 4]),
        )
    })
    .await;
    assert_eq!((first.unwrap(), second.unwrap()), (3, 7));
    told.unwrap();
    let error = lost.unwrap_err();
    let said = RpcError::of(&error).expect("what the server said");
    assert_eq!((error.kind(), said.code(), said.message()), (ErrorKind::Status, -32601, "no such method"));
    assert_eq!(said.data().unwrap().to::<String>().unwrap(), "subtract");
    assert_eq!(stage.server.request_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn json_rpc_alone_and_refused() {
    let (stage, batcher) = rpc(|call| match call["method"].as_str() {
        Some("ok") => reply(json!({"id": call["id"], "result": "yes"}).to_string()),
        Some("note") => Reply::status(204),
        Some("bad") => Reply::status(500)
            .header("content-type", "application/json")
            .body(json!({"id": call["id"], "error": {"code": -32000, "message": "later"}}).to_string()),
        Some("gateway") => {
            Reply::status(502).header("content-type", "application/json").body("{\"message\": \"Bad gateway\"}")
        }
        _ => Reply::status(502).header("content-type", "application/json").body("<html>"),
    });
    assert_eq!(batcher.request::<String>("ok", &()).await.unwrap(), "yes");
    batcher.notify("note", &()).await.unwrap();
    let status = |error: &netcomm_http::Error| error.status().map(|status| status.as_u16());
    let error = batcher.request::<String>("bad", &()).await.unwrap_err();
    assert_eq!((error.kind(), status(&error)), (ErrorKind::Status, Some(500)));
    assert_eq!(RpcError::of(&error).map(RpcError::message), Some("later"));
    for method in ["gateway", "html"] {
        let error = batcher.request::<String>(method, &()).await.unwrap_err();
        assert_eq!(
            (error.kind(), status(&error), error.is_retryable()),
            (ErrorKind::Status, Some(502), true),
            "{method}"
        );
        assert!(RpcError::of(&error).is_none());
    }
    for request in stage.server.requests() {
        assert!(request.text().starts_with('{'), "one call is no array");
    }
}

#[tokio::test(start_paused = true)]
async fn multipart_by_id_and_by_order() {
    for with_ids in [true, false] {
        let stage = stage(ScriptedServer::builder().handler(move |request: &ReceivedRequest| {
            let content_type = request.header("content-type").unwrap();
            let boundary = format!("--{}", content_type.split_once("boundary=").unwrap().1);
            let text = request.text();
            let parts = text.split(&boundary).filter(|part| part.contains("HTTP/1.1"));
            let mut answers: Vec<String> = parts
                .map(|part| {
                    let id = part.split("Content-ID: <").nth(1).unwrap().split('>').next().unwrap();
                    let path = part.split(" HTTP/1.1").next().unwrap().rsplit(' ').next().unwrap();
                    let id = if with_ids { format!("Content-ID: <response-{id}>\r\n") } else { String::new() };
                    let status = if path == "/lost" { "404 Not Found" } else { "200 OK" };
                    format!("--b\r\nContent-Type: application/http\r\n{id}\r\nHTTP/1.1 {status}\r\nx-path: {path}\r\n\r\n{path}\r\n")
                })
                .collect();
            if with_ids {
                answers.reverse();
            }
            let body = format!("preamble\r\n{}--b--\r\nepilogue", answers.concat());
            Reply::status(202).header("content-type", "multipart/mixed; boundary=\"b\"").body(body)
        }));
        let batcher = Batcher::builder(&stage.client(), URL, MultipartMixed::new()).build().unwrap();
        let call = |path: &str| batcher.call(Request::get(path).body(Bytes::new()).unwrap());
        let (first, lost, last) = soon(async { tokio::join!(call("/a"), call("/lost"), call("/b")) }).await;
        for (response, status, path) in [(first, 200, "/a"), (lost, 404, "/lost"), (last, 200, "/b")] {
            let response = response.unwrap();
            assert_eq!((response.status().as_u16(), response.body().as_ref()), (status, path.as_bytes()));
            assert_eq!(response.headers()["x-path"], path);
        }
        assert_eq!(stage.server.request_count(), 1);
    }
}
