//! With the client that comes by default, over HTTP/1.1.

use netcomm_core::Env;
use netcomm_sse::Live;
use netcomm_tests::{ScriptedDialer, TokioClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Numbers;
use super::world::{URL, at, event};

#[tokio::test(start_paused = true)]
async fn the_default_client_carries_it() {
    let dialer = ScriptedDialer::new();
    dialer.serve_all(|mut stream| async move {
        let mut head = Vec::new();
        loop {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
            if !head.ends_with(b"\r\n\r\n") {
                continue;
            }
            let asked = String::from_utf8(std::mem::take(&mut head)).expect("a head").to_ascii_lowercase();
            let says = if asked.contains("accept: text/event-stream") {
                assert!(asked.contains("last-event-id: 5\r\n"), "{asked}");
                let change = event("merge", 6, r#"{"b":2}"#);
                format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{change}")
            } else {
                assert!(asked.contains("accept: application/json\r\n"), "{asked}");
                "HTTP/1.1 200 OK\r\nsequence-number: 5\r\netag: \"e\"\r\ncontent-length: 7\r\n\r\n{\"a\":1}".to_owned()
            };
            stream.write_all(says.as_bytes()).await.expect("writes");
        }
    });
    let env = Env::new(dialer, TokioClock::new());
    let mut live: Live<Numbers> = Live::builder(&env, URL).open().expect("opens");
    at(&mut live, 6).await;
    assert_eq!(live.current().map(|now| (now["a"], now["b"])), Some((1, 2)));
}
