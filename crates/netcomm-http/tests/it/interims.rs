//! Interim responses, as the caller is told of them.

use std::sync::{Arc, Mutex};

use netcomm_http::RequestBuilder;
use netcomm_http::testing::{Reply, Script, ScriptedServer};

use crate::stage::{redirect, scripted, soon, stage};

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\nlink: </b.js>\r\n\r\n";

/// What was told: statuses, and the values of `link`.
type Told = Arc<Mutex<Vec<(u16, Vec<String>)>>>;

fn listening(call: RequestBuilder) -> (RequestBuilder, Told) {
    let told = Told::default();
    let teller = Arc::clone(&told);
    let call = call.on_interim(move |status, headers| {
        let links = headers.get_all("link").iter().map(|link| link.to_str().expect("text").to_owned());
        teller.lock().expect("no panic").push((status.as_u16(), links.collect()));
    });
    (call, told)
}

fn hints() -> (u16, Vec<String>) {
    (103, vec!["</a.css>".to_owned(), "</b.js>".to_owned()])
}

#[tokio::test(start_paused = true)]
async fn interim_responses_are_told_in_their_order_and_leave_no_trace() {
    let early = format!("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n{HINTS}");
    let answer = Script::new().send(early).reply(Reply::status(200).body("ok"));
    let stage = stage(ScriptedServer::builder().handler(move |_| answer.clone()));
    let client = stage.client();
    let (call, told) = listening(client.get("http://a.example/"));
    let response = soon(call.send()).await.expect("response");
    assert!(!response.headers().contains_key("link"));
    assert_eq!(response.text().await.expect("body"), "ok");
    assert_eq!(*told.lock().expect("no panic"), [(100, vec![]), (102, vec![]), hints()]);

    // The next request on the connection has nobody who listens.
    let next = soon(client.get("http://a.example/").send()).await.expect("response");
    assert_eq!(next.text().await.expect("body"), "ok");
    assert_eq!((told.lock().expect("no panic").len(), stage.dialer.dials()), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn each_hop_tells_its_own() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/from", Script::new().send(HINTS).reply(redirect(302, "/to")))
            .route("/to", Script::new().send("HTTP/1.1 102 Processing\r\n\r\n").reply(Reply::status(204))),
    );
    let (call, told) = listening(stage.client().get("http://a.example/from"));
    assert_eq!(soon(call.send()).await.expect("response").status(), 204);
    assert_eq!(*told.lock().expect("no panic"), [hints(), (102, vec![])]);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_exchange_is_no_interim_response() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n";
    let stage = scripted(Script::new().request().send(HINTS).send(switch).stall());
    let (call, told) = listening(stage.client().get("http://a.example/"));
    drop(soon(call.send()).await);
    assert_eq!(*told.lock().expect("no panic"), [hints()]);
}
