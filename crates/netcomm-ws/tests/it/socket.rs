//! One connection, from both ends.

use std::future::Future;

use netcomm_core::{Env, Result};
use netcomm_tests::{ScriptedDialer, TokioClock};
use netcomm_ws::{AcceptOptions, CloseCode, Closer, Kind, Message, Socket};

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
