//! One connection, from both ends.

use std::future::Future;

use netcomm_core::{Env, ErrorKind, Event, Interest, Result};
use netcomm_tests::{CollectingObserver, ScriptedDialer, TokioClock};
use netcomm_ws::{AcceptOptions, CloseCode, Closer, Kind, Message, Socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// An environment in which every dial reaches `serve`.
fn served<F>(serve: impl Fn(Socket) -> F + Send + Sync + Clone + 'static) -> Env
where
    F: Future<Output = ()> + Send + 'static,
{
    let dialer = ScriptedDialer::new();
    let env = Env::new(dialer.clone(), TokioClock::new());
    let options = AcceptOptions::new(&env);
    dialer.serve_all(move |stream| {
        let (options, serve) = (options.clone(), serve.clone());
        async move {
            let socket = Socket::accept(stream, &options).await.expect("a handshake");
            serve(socket).await;
        }
    });
    env
}

async fn echo(mut socket: Socket) {
    while let Ok(Some(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

async fn connect(env: &Env) -> Socket {
    Socket::builder(env, "ws://server.test/").connect().await.expect("open")
}

#[tokio::test(start_paused = true)]
async fn messages_go_there_and_come_back() -> Result<()> {
    let env = served(echo);
    let mut socket = connect(&env).await;
    assert!(socket.is_compressed());
    for size in [0, 1, 125, 126, 1023, 1024, 65_535, 65_536, 1 << 20, (1 << 20) + 1] {
        let data: Vec<u8> = (0..size).map(|at| (at * 7 % 253) as u8).collect();
        let message = Message::from(data);
        socket.send(message.clone()).await?;
        assert_eq!(socket.recv().await?, Some(message), "{size}");
        let text = Message::text("é".repeat(size / 2));
        socket.send(text.clone()).await?;
        assert_eq!(socket.recv().await?, Some(text), "{size}");
    }
    let closed = socket.close(CloseCode::NORMAL, "bye").await?;
    assert_eq!((closed.by, closed.code, closed.clean), (Closer::Us, CloseCode::NORMAL, true));
    assert_eq!(closed.reason, "bye");
    assert_eq!(socket.recv().await?, None);
    assert!(socket.send("late").await.is_err());
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn messages_larger_than_memory_go_in_pieces() -> Result<()> {
    let env = served(|mut socket| async move {
        loop {
            let Some(mut incoming) = socket.recv_stream().await.expect("no error") else {
                return;
            };
            let (mut total, mut pieces) = (0, 0);
            assert_eq!(incoming.kind(), Kind::Binary);
            while let Some(piece) = incoming.next().await.expect("pieces") {
                assert!(piece.len() <= 64 * 1024);
                total += piece.len();
                pieces += 1;
            }
            drop(incoming);
            let answer = format!("{total} {}", pieces > 1);
            if socket.send(answer).await.is_err() {
                return;
            }
        }
    });
    let mut socket = connect(&env).await;
    for _ in 0..2 {
        let mut outgoing = socket.send_stream(Kind::Binary).await?;
        for _ in 0..20 {
            outgoing.write(vec![7; 100_000]).await?;
        }
        outgoing.finish().await?;
        assert_eq!(socket.recv().await?, Some(Message::text("2000000 true")));
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_observes_sees_each_message_and_no_payload() -> Result<()> {
    let seen = CollectingObserver::with_interest(Interest::CONNECTION | Interest::MESSAGE);
    let env = served(echo);
    let env = env.with_tap(seen.tap());
    let mut socket = Socket::builder(&env, "ws://user:hidden@server.test/?token=hidden").connect().await?;
    socket.send("hidden").await?;
    socket.recv().await?;
    socket.close(CloseCode::NORMAL, "hidden").await?;
    let seen = seen.take();
    let number = seen.last().expect("seen").call;
    assert!(number.0 >> 63 == 1);
    let events: Vec<_> = seen.iter().filter(|one| one.call == number).map(|one| format!("{:?}", one.event)).collect();
    let words: Vec<_> = events.iter().map(|event| event.split(' ').next().expect("a name")).collect();
    assert_eq!(words, ["Connected", "SocketOpened", "MessageSent", "MessageReceived", "SocketClosed", "Disconnected"]);
    assert_eq!(events[5], r#"Disconnected { origin: "ws://server.test:80", reason: "closed" }"#);
    assert!(!format!("{seen:?}").contains("hidden"));
    assert!(events[2].contains("bytes: 6") && events[4].contains("code: 1000, clean: true"), "{events:?}");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_contents_sees_handshake_and_payloads() -> Result<()> {
    let seen = CollectingObserver::with_interest(Interest::CONTENT);
    let env = served(echo).with_tap(seen.tap());
    let mut socket = Socket::builder(&env, "ws://user:word@server.test/?token=hidden").connect().await?;
    socket.send("hello").await?;
    socket.recv().await?;
    let seen = seen.take();
    assert!(seen.iter().all(|one| one.call == seen[0].call && one.call.0 >> 63 == 1));
    let told: Vec<_> = seen
        .iter()
        .map(|one| match &one.event {
            Event::RequestHead { number, method, url, headers, .. } => {
                assert!(headers["authorization"].is_sensitive());
                format!("> {number} {method} {url} {}", headers["upgrade"].to_str().expect("text"))
            }
            Event::ResponseHead { number, status, headers, .. } => {
                assert!(headers.contains_key("sec-websocket-accept"));
                format!("< {number} {}", status.as_u16())
            }
            Event::MessageContent { is_sent, is_text, data } => format!("{is_sent} {is_text} {data:?}"),
            other => format!("{other:?}"),
        })
        .collect();
    let expected = ["> 1 GET ws://server.test/?token=hidden websocket", "< 1 101", "true true b\"hello\""];
    assert_eq!(told[..3], expected);
    assert_eq!(told[3], "false true b\"hello\"");
    assert_eq!(told.len(), 4);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dropped_has_ended_for_who_observes() -> Result<()> {
    let seen = CollectingObserver::with_interest(Interest::CONNECTION);
    let env = served(echo);
    let socket = Socket::builder(&env.with_tap(seen.tap()), "ws://server.test/").connect().await?;
    drop(socket);
    let ends: Vec<_> = seen
        .take()
        .into_iter()
        .filter_map(|one| match one.event {
            Event::SocketClosed { code, clean, error, .. } => Some((code, clean, error)),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(1006, false, Some(ErrorKind::Canceled))]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_with_what_it_says() -> Result<()> {
    let dialer = ScriptedDialer::new();
    dialer.serve_next(|mut far| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(far.read_u8().await.expect("a head"));
        }
        far.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!\n").await.expect("sent");
    });
    let seen = CollectingObserver::with_interest(Interest::CONTENT);
    let env = Env::new(dialer, TokioClock::new()).with_tap(seen.tap());
    Socket::builder(&env, "ws://server.test/").connect().await.expect_err("refused");
    let told: Vec<_> = seen
        .take()
        .into_iter()
        .map(|one| match one.event {
            Event::RequestHead { number, .. } => format!("> {number}"),
            Event::ResponseHead { number, status, .. } => format!("< {number} {}", status.as_u16()),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["> 1", "< 1 403", "ResponseBody { data: b\"no!\\n\" }"]);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn what_came_before_a_broken_rule_can_be_answered() -> Result<()> {
    let dialer = ScriptedDialer::new();
    let env = Env::new(dialer.clone(), TokioClock::new());
    dialer.serve_next(|far| async move {
            let (mut read, mut write) = tokio::io::split(far);
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(read.read_u8().await.expect("a head"));
            }
            let head = String::from_utf8(head).expect("text");
            let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
            let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            // A good message and an unknown opcode in one piece.
            write.write_all(&[answer.as_bytes(), b"\x81\x02hi\x83\x00"].concat()).await.expect("sent");
            let mut rest = Vec::new();
            drop(read.read_to_end(&mut rest).await);
            assert_eq!(rest[..2], [0x81, 0x82], "the echo");
            assert_eq!(rest[8..10], [0x88, 0x82], "the goodbye");
            assert_eq!(u16::from_be_bytes([rest[14] ^ rest[10], rest[15] ^ rest[11]]), 1002);
    });
    let mut socket = connect(&env).await;
    let message = socket.recv().await?.expect("a message");
    socket.send(message).await?;
    assert_eq!(socket.recv().await.expect_err("an opcode").kind(), ErrorKind::Protocol);
    assert_eq!(socket.closed().expect("ended").code, CloseCode::PROTOCOL);
    assert_eq!(socket.recv().await?, None);
    drop(socket);
    dialer.finish().await;
    Ok(())
}
