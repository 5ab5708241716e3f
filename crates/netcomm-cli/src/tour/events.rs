//! An event stream whose server cuts it in the middle of events.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use netcomm::core::Backoff;
use netcomm::sse::{Block, EventStream, Reconnect};
use netcomm::{Error, ErrorKind, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::scene::{Broken, Scene, Verdict, ensure};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "events",
    title: "An event stream that is cut in the middle of events",
    origin: "cuts the stream at a byte of its own choice, mostly within an event; goes on behind Last-Event-ID",
    promise: "the stream comes back by its id; no event is lost, none comes twice, none comes in part",
    play: || Box::pin(play()),
};

const EVENTS: u64 = 500;
/// Bytes of each stream before it is cut, one after the other and over again.
const CUTS: [usize; 5] = [1800, 3001, 977, 4096, 2503];

async fn play() -> Verdict {
    let env = stage::env(stage::dialer());
    let server = Server::start().await?;
    let quick = Reconnect::default()
        .first(Duration::from_millis(20))
        .floor(Duration::from_millis(5))
        .backoff(Backoff::new(Duration::from_millis(10), Duration::from_millis(50)));
    let mut stream = EventStream::builder(&env, server.url()).reconnect(quick).stream()?;
    let mut next = 1;
    while let Some(event) = stream.next().await {
        let event = event?;
        ensure(event.id == *next.to_string(), || format!("event {:?} came in place of {next}", &*event.id))?;
        ensure(event.data == *data(next), || format!("event {next} holds {:?}", &*event.data))?;
        next += 1;
    }
    ensure(next == EVENTS + 1, || format!("{} of {EVENTS} events came", next - 1))?;
    let counts = stream.counts();
    let inside = server.cut_inside.load(Ordering::Relaxed);
    ensure(counts.streams > CUTS.len() as u64, || format!("{} streams", counts.streams))?;
    ensure(inside > 0, || "no cut fell into an event".to_owned())?;
    Ok(format!(
        "{EVENTS} events, each once and in order, over {} streams; {inside} cuts within an event",
        counts.streams
    ))
}

fn data(number: u64) -> String {
    format!("{{\"number\":{number}}}\nof {EVENTS}")
}

/// All blocks behind that event, one after the other.
fn blocks(last: u64) -> Result<Vec<Vec<u8>>, Broken> {
    (last + 1..=EVENTS)
        .map(|number| Ok(Block::new().id(number.to_string()).data(data(number)).encode()?.to_vec()))
        .collect()
}

/// A server that cuts what it sends.
struct Server {
    address: SocketAddr,
    cut_inside: Arc<AtomicU64>,
}

impl Server {
    async fn start() -> Result<Self> {
        let failed = |error| Error::new(ErrorKind::Io, "listen").with_source(error);
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let cut_inside = Arc::new(AtomicU64::new(0));
        let inside = Arc::clone(&cut_inside);
        drop(tokio::spawn(async move {
            for cut in CUTS.into_iter().cycle() {
                let Ok((stream, _)) = listener.accept().await else { break };
                // Whatever ends it: with it goes its connection.
                if let Ok(true) = serve(stream, cut).await {
                    inside.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
        Ok(Self { address, cut_inside })
    }

    fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }
}

/// Sends so many bytes of the stream; tells whether an event was cut. Who has seen all is told that there is no more.
async fn serve(mut stream: TcpStream, cut: usize) -> Result<bool, Broken> {
    let io = |error: std::io::Error| Broken::new(error.to_string());
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.map_err(io)?);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let last = head.lines().find_map(|line| line.strip_prefix("last-event-id: ")?.parse().ok()).unwrap_or(0);
    if last == EVENTS {
        let gone = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
        stream.write_all(gone).await.map_err(io)?;
        return Ok(false);
    }
    let mut body = Vec::new();
    let mut cut_inside = false;
    for block in blocks(last)? {
        let room = cut - body.len();
        if room < block.len() {
            cut_inside = room > 0;
            body.extend_from_slice(&block[..room]);
            break;
        }
        body.extend_from_slice(&block);
    }
    // Without its last chunk the body is broken off, and known to be.
    let mut answer =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    answer.extend_from_slice(format!("{:x}\r\n", body.len()).as_bytes());
    answer.extend_from_slice(&body);
    answer.extend_from_slice(b"\r\n");
    stream.write_all(&answer).await.map_err(io)?;
    Ok(cut_inside)
}
