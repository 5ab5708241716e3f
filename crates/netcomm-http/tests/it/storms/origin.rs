//! Origins that do with each send of a call what the call itself has in its fields, and know to the millisecond how long
//! each client stayed.

use std::collections::HashMap;
use std::time::Duration;

use netcomm_core::{ConnectInfo, Error, ErrorKind, Io};
use netcomm_tests::ScriptedDialer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::Instant;

use super::{MILLI, Shared};

/// What a send comes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed {
    /// How long the origin thinks.
    pub(super) takes: Duration,
    pub(super) end: End,
    /// How long the second half of the body takes.
    pub(super) body: Duration,
    /// `Retry-After`, in seconds.
    pub(super) retry_after: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Answer(u16),
    /// An answer, and a connection that is closed without a word when it is idle.
    AnswerAndLeave,
    Cut,
    CutInHead,
    Stall,
}

impl Deed {
    pub(super) fn to_text(self) -> String {
        let end = match self.end {
            End::Answer(status) => u32::from(status),
            End::AnswerAndLeave => 1,
            End::Cut => 2,
            End::CutInHead => 3,
            End::Stall => 4,
        };
        let retry_after = self.retry_after.map_or(-1, |secs| i64::try_from(secs).expect("few"));
        format!("{} {end} {} {retry_after}", self.takes.as_millis(), self.body.as_millis())
    }

    fn parse(text: &str) -> Self {
        let numbers: Vec<i64> = text.split(' ').map(|number| number.parse().expect("a number")).collect();
        let millis = |at: usize| MILLI * u32::try_from(numbers[at]).expect("a time");
        let end = match numbers[1] {
            1 => End::AnswerAndLeave,
            2 => End::Cut,
            3 => End::CutInHead,
            4 => End::Stall,
            status => End::Answer(u16::try_from(status).expect("a status")),
        };
        Self { takes: millis(0), end, body: millis(2), retry_after: u64::try_from(numbers[3]).ok() }
    }
}

/// What a dial comes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dialled {
    Served,
    ServedAfter(Duration),
    Refused,
    /// A connection that is closed before anything was read.
    ClosedUnread,
    Never,
}

/// One request that an origin has read.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) origin: String,
    pub(super) id: usize,
    pub(super) came: Instant,
    /// When its answer was out, or its client gone.
    pub(super) went: Option<Instant>,
    /// The status, once the head is out.
    pub(super) status: Option<u16>,
    /// Whether its connection had carried a request before.
    pub(super) reused: bool,
}

/// All origins there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    sent: Shared<Vec<Sent>>,
    dialled: Shared<usize>,
    counts: Shared<HashMap<usize, usize>>,
}

impl Origins {
    pub(super) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("no panic under the lock").clone()
    }

    /// Answers all dials.
    pub(super) fn answer(&self, dialer: &ScriptedDialer, dials: Vec<Dialled>) {
        let origins = self.clone();
        dialer.with_all(move |target| {
            let origins = origins.clone();
            let host = match &target.endpoint {
                netcomm_core::Endpoint::Tcp { host, .. } => host.to_string(),
                other => panic!("no host: {other:?}"),
            };
            let dial = {
                let mut dialled = origins.dialled.lock().expect("no panic under the lock");
                *dialled += 1;
                dials[(*dialled - 1) % dials.len()]
            };
            async move {
                match dial {
                    Dialled::Served => {}
                    Dialled::ServedAfter(takes) => tokio::time::sleep(takes).await,
                    Dialled::Refused => return Err(Error::new(ErrorKind::Connect, "dial").with_unsent()),
                    Dialled::Never => {
                        tokio::time::sleep(3000 * MILLI).await;
                        return Err(Error::timeout("dial", netcomm_core::Phase::Connect));
                    }
                    Dialled::ClosedUnread => {
                        let (near, _) = tokio::io::duplex(1 << 16);
                        return Ok(Io::new(near, ConnectInfo::default()));
                    }
                }
                let (near, far) = tokio::io::duplex(1 << 16);
                drop(tokio::spawn(async move { origins.serve(host, far).await }));
                Ok(Io::new(near, ConnectInfo::default()))
            }
        });
    }

    /// Serves a connection as long as that makes sense to both.
    async fn serve(self, host: String, mut stream: DuplexStream) -> Option<()> {
        for nth in 0.. {
            let head = request(&mut stream).await?;
            let field = |name: &str| {
                let line = head.lines().find(|line| line.starts_with(name)).expect("a field");
                line[name.len() + 2..].to_owned()
            };
            let id: usize = field("x-id").parse().expect("a number");
            let (at, deed) = self.begin(&host, id, &field("x-deeds"), nth > 0);
            let goes_on = self.answer_one(&mut stream, at, deed).await;
            self.sent.lock().expect("no panic under the lock")[at].went.get_or_insert_with(Instant::now);
            goes_on?;
        }
        None
    }

    fn begin(&self, host: &str, id: usize, deeds: &str, reused: bool) -> (usize, Deed) {
        let deeds: Vec<_> = deeds.split(',').map(Deed::parse).collect();
        let mut counts = self.counts.lock().expect("no panic under the lock");
        let count = counts.entry(id).or_default();
        let deed = deeds[(*count).min(deeds.len() - 1)];
        *count += 1;
        let mut sent = self.sent.lock().expect("no panic under the lock");
        sent.push(Sent { origin: host.to_owned(), id, came: Instant::now(), went: None, status: None, reused });
        (sent.len() - 1, deed)
    }

    /// `None` when the connection is of no more use.
    async fn answer_one(&self, stream: &mut DuplexStream, at: usize, deed: Deed) -> Option<()> {
        stays(stream, deed.takes).await?;
        let status = match deed.end {
            End::Answer(status) => status,
            End::AnswerAndLeave => 200,
            End::Cut => return None,
            End::CutInHead => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nx-half: ").await.ok()?;
                return None;
            }
            End::Stall => {
                stays(stream, Duration::from_secs(1 << 30)).await?;
                return None;
            }
        };
        let asks = deed.retry_after.map_or_else(String::new, |secs| format!("retry-after: {secs}\r\n"));
        let head = format!("HTTP/1.1 {status} X\r\n{asks}content-length: 4\r\n\r\nab");
        self.sent.lock().expect("no panic under the lock")[at].status = Some(status);
        stream.write_all(head.as_bytes()).await.ok()?;
        stays(stream, deed.body).await?;
        stream.write_all(b"cd").await.ok()?;
        if matches!(deed.end, End::AnswerAndLeave) {
            self.sent.lock().expect("no panic under the lock")[at].went = Some(Instant::now());
            // The next request is on its way when the connection ends.
            let mut byte = [0];
            drop(stream.read(&mut byte).await);
            return None;
        }
        Some(())
    }
}

/// Waits so long, unless the client leaves.
async fn stays(stream: &mut DuplexStream, time: Duration) -> Option<()> {
    if time.is_zero() {
        return Some(());
    }
    let mut byte = [0];
    tokio::select! {
        biased;
        _ = stream.read(&mut byte) => None,
        () = tokio::time::sleep(time) => Some(()),
    }
}

/// The head of the next request, its body read too.
async fn request(stream: &mut DuplexStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).expect("text");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
    stream.read_exact(&mut body).await.ok()?;
    Some(head)
}
