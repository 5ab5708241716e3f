//! Event streams in one page: one that is read where it stands, and one with listeners on a task.
//!
//! The server is a loopback port that sends three events to each who comes, and then leaves:
//! `cargo run -p netcomm --example sse --features sse`.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use netcomm::dial::{Dialer, Proxies};
use netcomm::sse::{Block, EventSource, EventStream, Listening};
use netcomm::{ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<()> {
    // What all components of an application share; no proxy here.
    let env = netcomm::env().with_dialer(Dialer::builder().proxies(Proxies::none()).build());
    let url = start_server().await?;

    // Whoever reads drives it. The server leaves after each third event; the stream goes on where it was.
    let mut events = EventStream::builder(&env, &url).stream()?;
    while let Some(event) = events.next().await {
        let event = event?;
        println!("{} {}: {}", event.id, event.event_type, event.data);
        if event.id == "7" {
            break;
        }
    }
    println!("{} streams, {} events", events.counts().streams, events.counts().events);

    // Listeners, each with its own queue; what nobody listens to is left out unread.
    let source = EventSource::builder(&env, &url).lazy().open()?;
    let mut squares = source.subscribe_as::<u64>("square", Listening::default());
    source.start();
    for _ in 0..3 {
        if let Some(square) = squares.next().await {
            println!("a square: {}", square?);
        }
    }
    Ok(())
}

/// Starts a server, and gives its URL.
async fn start_server() -> Result<String> {
    let failed = |error| netcomm::Error::new(ErrorKind::Io, "listen").with_source(error);
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let url = format!("http://{}/", listener.local_addr().map_err(failed)?);
    drop(tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = [0; 4096];
            let Ok(read) = stream.read(&mut head).await else { continue };
            let head = String::from_utf8_lossy(&head[..read]).to_lowercase();
            let last = head.lines().find_map(|line| line.strip_prefix("last-event-id: "));
            let last = last.and_then(|id| id.parse().ok()).unwrap_or(0);
            drop(stream.write_all(answer(last).as_bytes()).await);
        }
    }));
    Ok(url)
}

/// Three events behind the last one that was seen.
fn answer(last: u64) -> String {
    let mut answer = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".to_owned();
    for number in last + 1..=last + 3 {
        let kind = if number % 2 == 0 { "square" } else { "message" };
        let block = Block::new().event_type(kind).id(number.to_string()).data((number * number).to_string());
        answer += &String::from_utf8_lossy(&block.encode().unwrap_or_default());
    }
    answer
}
