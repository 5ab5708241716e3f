//! WebSockets in one page: one connection driven by hand, and one that comes back and loses nothing.
//!
//! The server is `Socket::accept` on a loopback port; it leaves in the middle: `cargo run -p netcomm --example ws
//! --features ws`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use netcomm::dial::{Dialer, Proxies};
use netcomm::ws::{AcceptOptions, AtLeastOnce, CloseCode, Connection, JsonDialect, Message, Socket};
use netcomm::{Env, ErrorKind, Result};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    // What all components of an application share; no proxy here.
    let env = netcomm::env().with_dialer(Dialer::builder().proxies(Proxies::none()).build());
    let url = start_server(&env).await?;

    // One connection: whoever sends or receives drives it.
    let mut socket = Socket::builder(&env, &url).connect().await?;
    socket.send(Message::json(&("hello", 1))?).await?;
    if let Some(answer) = socket.recv().await? {
        let (word, number): (String, u32) = answer.to_json()?;
        println!("the echo: {word} {number}, compressed: {}", socket.is_compressed());
    }
    println!("{}", socket.close(CloseCode::NORMAL, "done").await?);

    // A connection that comes back. Messages are numbered and acknowledged, and sent again where that is missing.
    let (connection, mut messages) =
        Connection::builder(&env, &url).dialect(JsonDialect).at_least_once(AtLeastOnce::default()).open()?;
    for number in 1..=4 {
        connection.send(Message::json(&number)?).await?;
    }
    connection.drained().await;
    connection.close(CloseCode::NORMAL, "").await?;
    while let Some(Ok(delivery)) = messages.next().await {
        println!("came: {}", delivery.message.to_json::<u32>()?);
    }
    let counts = connection.snapshot().counts;
    println!("{} connections, {} sent, {} of them again", counts.connections, counts.sent, counts.resent);
    Ok(())
}

/// Starts a server, and gives its URL.
async fn start_server(env: &Env) -> Result<String> {
    let failed = |error| netcomm::Error::new(ErrorKind::Io, "listen").with_source(error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let url = format!("ws://{}/", listener.local_addr().map_err(failed)?);
    let options = AcceptOptions::new(env);
    drop(tokio::spawn(async move {
        for nth in 1.. {
            let Ok((stream, _)) = listener.accept().await else { return };
            let Ok(socket) = Socket::accept(stream, &options).await else { continue };
            // Its second connection is one that it leaves after two messages, without a word.
            let messages = if nth == 2 { 2 } else { usize::MAX };
            drop(serve(socket, messages).await);
        }
    }));
    Ok(url)
}

/// Echoes, and acknowledges what is numbered; of the last message it takes no notice.
async fn serve(mut socket: Socket, messages: usize) -> Result<()> {
    for nth in 1..=messages {
        let Some(message) = socket.recv().await? else { break };
        if nth == messages {
            break;
        }
        let numbered: Option<Numbered> = message.to_json().ok();
        match numbered {
            Some(Numbered { seq, data }) => {
                socket.send(format!(r#"{{"ack":{seq}}}"#)).await?;
                socket.send(format!(r#"{{"data":{data}}}"#)).await?;
            }
            None => socket.send(message).await?,
        }
    }
    Ok(())
}

/// What `JsonDialect` makes of a message in the mode `AtLeastOnce`.
#[derive(serde::Deserialize)]
struct Numbered {
    seq: u64,
    data: u32,
}
