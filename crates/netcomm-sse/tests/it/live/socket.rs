//! Changes over a WebSocket.

use netcomm_sse::{Live, SocketChanges};
use netcomm_tests::ScriptedDialer;
use netcomm_ws::{AcceptOptions, Connection, Message, Socket};
use tokio::sync::mpsc;

use super::Numbers;
use super::world::{World, at, behind};

#[tokio::test(start_paused = true)]
async fn a_websocket_brings_changes_and_is_asked_to_go_on() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let dialer = ScriptedDialer::new();
    let env = world.env.with_dialer(dialer.clone());
    let options = AcceptOptions::new(&env);
    let (told, mut words) = mpsc::unbounded_channel();
    // Each connection says what it is given and ends.
    for say in [
        vec![r#"{"hello":1}"#, r#"{"sequence":6,"merge":{"a":2}}"#],
        vec![
            r#"{"sequence":6,"merge":{"a":2}}"#,
            r#"{"sequence":9,"previous":6,"patch":[{"op":"add","path":"/b","value":3}]}"#,
        ],
        vec![r#"{"sequence":10,"replace":{"c":4}}"#],
    ] {
        let (options, told) = (options.clone(), told.clone());
        dialer.serve_next(move |stream| async move {
            let mut socket = Socket::accept(stream, &options).await.expect("a handshake");
            let hello = socket.recv().await.expect("a message").expect("a message");
            told.send(hello.as_text().expect("text").to_owned()).expect("somebody listens");
            let is_last = say.len() == 1;
            for message in say {
                socket.send(message).await.expect("sends");
            }
            while is_last && socket.recv().await.is_ok_and(|message| message.is_some()) {}
        });
    }
    let changes = SocketChanges::new(
        move || Connection::builder(&env, "ws://server.example/changes"),
        |after| Message::text(format!("after {after}")),
    );
    let mut live: Live<Numbers> = world.live().follow(changes).open().expect("opens");
    at(&mut live, 10).await;
    assert_eq!(live.current().map(|now| (now.len(), now["c"])), Some((1, 4)));
    let mut said = Vec::new();
    while let Ok(words) = words.try_recv() {
        said.push(words);
    }
    assert_eq!(said, ["after 5", "after 6", "after 9"]);
    assert_eq!(world.fetches().len(), 1, "nothing was missed");
    drop(live);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_cannot_be_read_fetches() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let dialer = ScriptedDialer::new();
    let env = world.env.with_dialer(dialer.clone());
    let options = AcceptOptions::new(&env);
    dialer.serve_all(move |stream| {
        let options = options.clone();
        async move {
            let mut socket = Socket::accept(stream, &options).await.expect("a handshake");
            let hello = socket.recv().await.expect("a message").expect("a message");
            if hello.as_text() == Some("after 5") {
                socket.send(r#"{"sequence":6,"replace me":1}"#).await.expect("sends");
            }
            while socket.recv().await.is_ok_and(|message| message.is_some()) {}
        }
    });
    let changes = SocketChanges::new(
        move || Connection::builder(&env, "ws://server.example/changes"),
        |after| Message::text(format!("after {after}")),
    );
    let mut live: Live<Numbers> = world.live().follow(changes).open().expect("opens");
    behind(&mut live).await;
    world.set(r#"{"a":2}"#, 6, None);
    at(&mut live, 6).await;
    assert_eq!(world.fetches().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_counts_anew_is_noticed() {
    let world = World::new(r#"{"a":1}"#, 5, None);
    let dialer = ScriptedDialer::new();
    let env = world.env.with_dialer(dialer.clone());
    let options = AcceptOptions::new(&env);
    // The last one says nothing, and stays.
    for say in [&[6, 7, 8][..], &[6], &[]] {
        let options = options.clone();
        dialer.serve_next(move |stream| async move {
            let mut socket = Socket::accept(stream, &options).await.expect("a handshake");
            socket.recv().await.expect("a message");
            for number in say {
                let message = format!(r#"{{"sequence":{number},"merge":{{"a":{number}}}}}"#);
                socket.send(Message::text(message)).await.expect("sends");
            }
            while say.len() < 2 && socket.recv().await.is_ok_and(|message| message.is_some()) {}
        });
    }
    let changes = SocketChanges::new(
        move || Connection::builder(&env, "ws://server.example/changes"),
        |after| Message::text(format!("after {after}")),
    );
    let mut live: Live<Numbers> = world.live().follow(changes).open().expect("opens");
    live.ready().await.expect("a document");
    world.set(r#"{"a":0}"#, 2, None);
    at(&mut live, 2).await;
    assert_eq!((live.current().map(|now| now["a"]), world.fetches().len()), (Some(0), 2));
}
