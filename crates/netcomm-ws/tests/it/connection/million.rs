//! A million messages through two hundred losses: all arrive, in order, and what came twice says so.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::{io, mem};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use netcomm_core::{ConnectInfo, Env, Io, Random, Result};
use netcomm_tests::{ScriptedDialer, TokioClock};
use netcomm_ws::{
    AcceptOptions, Ack, AtLeastOnce, Connection, Dialect, Greet, Greeting, Heartbeat, Link, Listening, Message,
    Overflow, QueueLimits, Reading, Reconnect, Resume, Socket, Writing,
};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use super::stage::{URL, ends};

const MESSAGES: u64 = 1_000_000;
const LOSSES: u64 = 200;
const SENDERS: u64 = 4;
/// So many numbered messages share one acknowledgement.
const BATCH: u64 = 32;

/// A kind, a number, the rest. Small, and quick to read.
#[derive(Debug)]
struct Tiny;

const DATA: u8 = 0;
const AGAIN: u8 = 1;
const ACK: u8 = 2;

fn put(kind: u8, number: u64, rest: &[u8]) -> Message {
    let mut bytes = BytesMut::with_capacity(9 + rest.len());
    bytes.put_u8(kind);
    bytes.put_u64(number);
    bytes.extend_from_slice(rest);
    Message::from(bytes.freeze())
}

fn take(message: Message) -> (u8, u64, Bytes) {
    let mut bytes = message.into_bytes();
    (bytes.get_u8(), bytes.get_u64(), bytes)
}

impl Dialect for Tiny {
    fn read(&self, message: Message) -> Result<Reading> {
        let (kind, number, rest) = take(message);
        Ok(match kind {
            ACK => Reading::default().with_ack(Ack::UpTo(number)),
            _ => Reading::plain(Message::from(rest)).with_sequence(number),
        })
    }

    fn write(&self, writing: Writing<'_>) -> Result<Message> {
        let kind = if writing.redelivered { AGAIN } else { DATA };
        Ok(put(kind, writing.sequence.unwrap_or_default(), writing.message.as_bytes()))
    }

    fn acknowledge(&self, sequence: u64) -> Option<Message> {
        sequence.is_multiple_of(BATCH).then(|| put(ACK, sequence, &[]))
    }
}

/// A wire that breaks after so many bytes of either direction, each counted by itself.
struct Fragile {
    stream: DuplexStream,
    read: u64,
    write: u64,
}

impl AsyncRead for Fragile {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.read == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let room = buffer.remaining().min(usize::try_from(self.read).unwrap_or(usize::MAX));
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut part);
        let count = part.filled().len();
        buffer.advance(count);
        self.read -= count as u64;
        read
    }
}

impl AsyncWrite for Fragile {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.write == 0 {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = bytes.len().min(usize::try_from(self.write).unwrap_or(usize::MAX));
        let wrote = Pin::new(&mut self.stream).poll_write(cx, &bytes[..room]);
        if let Poll::Ready(Ok(count)) = wrote {
            self.write -= count as u64;
        }
        wrote
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A world whose first [`LOSSES`] connections break anywhere, one in ten of them within its handshake.
fn breaking<F>(
    seed: u64,
    message_bytes: f64,
    serve: impl Fn(Socket) -> F + Send + Sync + Clone + 'static,
) -> (Env, ScriptedDialer)
where
    F: Future<Output = ()> + Send + 'static,
{
    let dialer = ScriptedDialer::new();
    let env = Env::new(dialer.clone(), TokioClock::new()).with_random(Random::seeded(seed));
    let options = AcceptOptions::new(&env).deflate(None).heartbeat(Heartbeat::OFF);
    let random = Random::seeded(seed);
    let dials = Mutex::new(0_u64);
    dialer.with_all(move |_| {
        let nth = {
            let mut dials = dials.lock().expect("no panic");
            *dials += 1;
            *dials
        };
        // A share of what all the messages weigh on the wire: so many losses come to pass before all are there.
        let most = if random.fraction() < 0.1 { 400.0 } else { 1.5 * message_bytes * MESSAGES as f64 / LOSSES as f64 };
        let part = || if nth <= LOSSES { (random.fraction() * most) as u64 } else { u64::MAX };
        let (near, far) = tokio::io::duplex(64 * 1024);
        // The one that breaks first is any of the two.
        let wire = Fragile { stream: near, read: part(), write: part() };
        let (options, serve) = (options.clone(), serve.clone());
        drop(tokio::spawn(async move {
            if let Ok(socket) = Socket::accept(far, &options).await {
                serve(socket).await;
            }
        }));
        async move { Ok(Io::new(wire, ConnectInfo::default())) }
    });
    (env, dialer)
}

/// What a server has got.
#[derive(Default)]
struct Got {
    up_to: u64,
    twice: u64,
    /// The last number of each sender.
    last: [u64; SENDERS as usize],
    connections: u64,
}

#[tokio::test(start_paused = true)]
async fn to_the_server() -> Result<()> {
    let got = Arc::new(Mutex::new(Got::default()));
    let server = Arc::clone(&got);
    let (env, dialer) = breaking(11, 20.0, move |mut socket| {
        let got = Arc::clone(&server);
        async move {
            got.lock().expect("no panic").connections += 1;
            let mut unsaid = 0;
            while let Ok(Some(message)) = socket.recv().await {
                let (kind, sequence, rest) = take(message);
                let up_to = {
                    let mut got = got.lock().expect("no panic");
                    if sequence <= got.up_to {
                        assert_eq!(kind, AGAIN, "what comes twice says so");
                        got.twice += 1;
                    } else {
                        assert_eq!(sequence, got.up_to + 1, "no gap");
                        got.up_to = sequence;
                        let (sender, number) = (rest[0], (&rest[1..]).get_u32());
                        let last = &mut got.last[usize::from(sender)];
                        assert_eq!(u64::from(number), *last + 1, "in the order of its sender");
                        *last += 1;
                    }
                    got.up_to
                };
                unsaid += 1;
                if (unsaid >= BATCH || up_to == MESSAGES) && socket.feed(put(ACK, up_to, &[])).await.is_ok() {
                    unsaid = 0;
                    if socket.flush().await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    let (connection, _messages) = Connection::builder(&env, URL)
        .connect(|connect| connect.deflate(None))
        .dialect(Tiny)
        .reconnect(Reconnect::default())
        .queue(QueueLimits::default().with_overflow(Overflow::Wait))
        .at_least_once(AtLeastOnce::default())
        .open()?;
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let connection = connection.clone();
            tokio::spawn(async move {
                for number in 1..=MESSAGES / SENDERS {
                    let mut bytes = BytesMut::with_capacity(5);
                    bytes.put_u8(sender as u8);
                    bytes.put_u32(number as u32);
                    connection.send(bytes.freeze()).await.expect("taken");
                }
            })
        })
        .collect();
    for sender in senders {
        ends(sender).await.expect("no panic");
    }
    assert!(ends(connection.drained()).await);
    let got = mem::take(&mut *got.lock().expect("no panic"));
    assert_eq!((got.up_to, got.last), (MESSAGES, [MESSAGES / SENDERS; SENDERS as usize]));
    let counts = connection.snapshot().counts;
    assert_eq!((counts.dropped, counts.unknown), (0, 0));
    assert!(counts.resent >= got.twice && got.twice > 0, "{counts:?}");
    assert!(dialer.dials() as u64 > LOSSES && got.connections < dialer.dials() as u64, "some broke in the handshake");
    Ok(())
}

/// Tells the server where to go on.
#[derive(Debug)]
struct Since;

impl Greet for Since {
    async fn greet(&self, link: &mut Link<'_>, resume: &Resume) -> Result<Greeting> {
        // What was delivered and not acknowledged yet comes again, for the server knows only what it was told.
        link.send(put(DATA, resume.received_up_to.unwrap_or_default(), &[])).await?;
        Ok(Greeting::new().with_recovered(true))
    }
}

#[tokio::test(start_paused = true)]
async fn from_the_server() -> Result<()> {
    // What the client has acknowledged, and how far it was sent to.
    let acknowledged = Arc::new(Mutex::new((0, 0)));
    let server = Arc::clone(&acknowledged);
    let (env, dialer) = breaking(12, 12.0, move |mut socket| {
        let acknowledged = Arc::clone(&server);
        async move {
            let Ok(Some(_)) = socket.recv().await else { return };
            let (mut next, before) = {
                let state = acknowledged.lock().expect("no panic");
                (state.0 + 1, state.1)
            };
            loop {
                let up_to = acknowledged.lock().expect("no panic").0;
                while next <= MESSAGES && next <= up_to + 1024 {
                    let kind = if next <= before { AGAIN } else { DATA };
                    if socket.feed(put(kind, next, &[kind])).await.is_err() {
                        return;
                    }
                    let mut state = acknowledged.lock().expect("no panic");
                    state.1 = state.1.max(next);
                    next += 1;
                }
                if socket.flush().await.is_err() {
                    return;
                }
                let Ok(Some(message)) = socket.recv().await else { return };
                let (kind, sequence, _) = take(message);
                assert_eq!(kind, ACK);
                let mut state = acknowledged.lock().expect("no panic");
                state.0 = state.0.max(sequence);
            }
        }
    });
    let (connection, mut messages) = Connection::builder(&env, URL)
        .connect(|connect| connect.deflate(None))
        .dialect(Tiny)
        .greet(Since)
        .listening(Listening::default())
        .at_least_once(AtLeastOnce::default())
        .open()?;
    let (mut up_to, mut twice) = (0, 0);
    while up_to < MESSAGES {
        let delivery = ends(messages.next()).await.expect("open").expect("no lag");
        let sequence = delivery.sequence.expect("numbered");
        if delivery.duplicate {
            assert!(sequence <= up_to && delivery.message.as_bytes() == [AGAIN]);
            twice += 1;
        } else {
            assert_eq!(sequence, up_to + 1, "no gap, nothing twice");
            up_to = sequence;
        }
    }
    let counts = connection.snapshot().counts;
    assert_eq!((counts.duplicates, counts.unclaimed), (twice, 0));
    assert!(twice > 0 && dialer.dials() as u64 > LOSSES, "{twice} {}", dialer.dials());
    Ok(())
}
