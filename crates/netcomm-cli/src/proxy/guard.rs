//! The client's connection, watched: what the server engine reads was found good before, and no wait is without end.
//!
//! The engine accepts more than a proxy may: bare line feeds, lengths beside chunks, several hosts. So each head is read
//! strictly before the engine sees its first byte, and content only as far as it goes. In place of a head that is refused
//! the engine gets a harmless one, by whose number the service knows it; content that is refused ends in an error.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::chunks::Chunks;
use super::head::{Content, find};
use super::ledger::Ledger;
use super::refusal::Refusal;

/// How long a connection may be idle between requests.
const IDLE: Duration = Duration::from_secs(60);
/// How long a head may take, from its first byte to its last.
const HEAD: Duration = Duration::from_secs(30);
/// How long content may stand still, and how long a client may take nothing of an answer.
const STILL: Duration = Duration::from_secs(30);
/// How long, and how much, is read of what a client still sends once its connection ends: without that, the last answer
/// could be lost on its way (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 256 * 1024;
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1024;
/// Stands in for a head that was refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\n\r\n";

/// A stream that can end in a way that nobody takes for a good end.
pub(super) trait Reset {
    /// Lets the stream end so when it is dropped.
    fn reset(&self);
}

impl Reset for TcpStream {
    fn reset(&self) {
        // Without it the end looks better than it is, which is all that can be done.
        drop(self.set_zero_linger());
    }
}

/// A client's connection.
pub(super) struct Guard<S: Reset> {
    stream: S,
    ledger: Arc<Ledger>,
    reading: Reading,
    buffer: BytesMut,
    /// How many bytes of the buffer the engine may have.
    cleared: usize,
    scratch: Box<[u8]>,
    alarm: Alarm<Wait>,
    write_alarm: Alarm<()>,
    linger: Alarm<()>,
    lingered: usize,
}

/// What comes next.
enum Reading {
    Head { seen: usize },
    Sized { left: u64 },
    Chunked(Chunks),
    Refused,
}

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Request,
    Head,
    Content,
}

impl<S: Reset> Guard<S> {
    pub(super) fn new(stream: S, ledger: Arc<Ledger>) -> Self {
        Self {
            stream,
            ledger,
            reading: Reading::Head { seen: 0 },
            buffer: BytesMut::new(),
            cleared: 0,
            scratch: vec![0; READ_BYTES].into(),
            alarm: Alarm::default(),
            write_alarm: Alarm::default(),
            linger: Alarm::default(),
            lingered: 0,
        }
    }

    /// Clears what can be cleared of the buffer.
    fn look(&mut self) -> Result<(), Refusal> {
        match &mut self.reading {
            Reading::Head { seen } => {
                // RFC 9112 §2.2: an empty line before a request is passed over.
                while *seen == 0 && self.buffer.starts_with(b"\r\n") {
                    self.buffer.advance(2);
                }
                if *seen == 0 && *self.buffer == *b"\r" {
                    return Ok(());
                }
                let Some(head) = find(&self.buffer, seen)? else { return Ok(()) };
                self.cleared = head.bytes;
                self.alarm.stop();
                self.ledger.head_came();
                self.reading = match head.content {
                    Content::Length(0) => Reading::Head { seen: 0 },
                    Content::Length(left) => Reading::Sized { left },
                    Content::Chunked => Reading::Chunked(Chunks::default()),
                };
            }
            Reading::Sized { left } => {
                self.cleared = usize::try_from(*left).unwrap_or(usize::MAX).min(self.buffer.len());
                *left -= self.cleared as u64;
                if *left == 0 {
                    self.reading = Reading::Head { seen: 0 };
                }
            }
            Reading::Chunked(chunks) => {
                let (taken, ended) = chunks.advance(&self.buffer)?;
                self.cleared = taken;
                if ended {
                    self.reading = Reading::Head { seen: 0 };
                }
            }
            Reading::Refused => {}
        }
        Ok(())
    }

    fn refuse(&mut self, refusal: Refusal) -> io::Result<()> {
        match std::mem::replace(&mut self.reading, Reading::Refused) {
            Reading::Head { .. } => {
                self.ledger.refuse_head(refusal);
                self.buffer = BytesMut::from(STAND_IN);
                self.cleared = STAND_IN.len();
                Ok(())
            }
            Reading::Sized { .. } | Reading::Chunked(_) | Reading::Refused => {
                self.ledger.refuse_content(refusal);
                self.buffer.clear();
                Err(io::Error::new(io::ErrorKind::InvalidData, refusal.reason))
            }
        }
    }

    /// What is waited for; nothing while a request is being answered.
    fn wait(&self) -> Option<Wait> {
        match self.reading {
            Reading::Head { .. } if self.ledger.is_busy() => None,
            Reading::Head { .. } if self.buffer.is_empty() => Some(Wait::Request),
            Reading::Head { .. } => Some(Wait::Head),
            Reading::Sized { .. } | Reading::Chunked(_) => Some(Wait::Content),
            Reading::Refused => None,
        }
    }

    /// Bounds the wait for a client that takes nothing.
    fn wrote(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.write_alarm.stop();
            return written;
        }
        self.write_alarm.poll((), STILL, cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether more of the client's bytes may be on their way when the connection ends.
    fn may_be_sending(&self) -> bool {
        !matches!(self.reading, Reading::Head { seen: 0 }) || !self.buffer.is_empty()
    }
}

impl<S: AsyncRead + Reset + Unpin> Guard<S> {
    /// Reads more. `false` at the end of the stream, and where waiting has an end without a word.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let wait = self.wait();
        let mut read = ReadBuf::new(&mut self.scratch);
        match Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            Poll::Ready(outcome) => {
                outcome?;
                self.ledger.await_content(false);
                // Content that comes is progress; empty lines before a head, or pieces of one, are none.
                if wait == Some(Wait::Content) {
                    self.alarm.stop();
                }
                self.buffer.extend_from_slice(read.filled());
                return Poll::Ready(Ok(!read.filled().is_empty()));
            }
            Poll::Pending => {}
        }
        self.ledger.await_content(wait == Some(Wait::Content));
        let Some(wait) = wait else {
            self.alarm.stop();
            return Poll::Pending;
        };
        let limit = match wait {
            Wait::Request => IDLE,
            Wait::Head => HEAD,
            Wait::Content => STILL,
        };
        ready!(self.alarm.poll(wait, limit, cx));
        let late = |reason| Refusal::new(StatusCode::REQUEST_TIMEOUT, reason);
        match wait {
            Wait::Request => return Poll::Ready(Ok(false)),
            Wait::Head => self.refuse(late("the head did not come within 30 s"))?,
            Wait::Content => self.refuse(late("the content stood still for 30 s"))?,
        }
        Poll::Ready(Ok(true))
    }
}

impl<S: AsyncRead + Reset + Unpin> AsyncRead for Guard<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.cleared == 0
                && let Err(refusal) = this.look()
            {
                this.refuse(refusal)?;
            }
            if this.cleared > 0 {
                let here = this.cleared.min(out.remaining());
                out.put_slice(&this.buffer[..here]);
                this.buffer.advance(here);
                this.cleared -= here;
                return Poll::Ready(Ok(()));
            }
            if matches!(this.reading, Reading::Refused) {
                // Nothing more is read; the answer that says so ends the connection.
                return Poll::Pending;
            }
            if !ready!(this.fill(cx))? {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Reset + Unpin> AsyncWrite for Guard<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.wrote(written, cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, pieces);
        this.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        while this.may_be_sending() && this.lingered < LINGER_BYTES {
            let mut read = ReadBuf::new(&mut this.scratch);
            match Pin::new(&mut this.stream).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => this.lingered += read.filled().len(),
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(this.linger.poll((), LINGER, cx));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Reset> Drop for Guard<S> {
    fn drop(&mut self) {
        if self.ledger.is_reset_demanded() {
            self.stream.reset();
        }
    }
}

/// A timer that runs for as long as the same thing is waited for.
struct Alarm<W> {
    sleep: Option<Pin<Box<Sleep>>>,
    running: Option<W>,
}

impl<W> Default for Alarm<W> {
    fn default() -> Self {
        Self { sleep: None, running: None }
    }
}

impl<W: PartialEq + Copy> Alarm<W> {
    fn poll(&mut self, wait: W, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        if self.running.replace(wait) != Some(wait) {
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(cx)
    }

    fn stop(&mut self) {
        self.running = None;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    impl Reset for DuplexStream {
        fn reset(&self) {}
    }

    const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn stage() -> (DuplexStream, Guard<DuplexStream>, Arc<Ledger>) {
        let (client, server) = duplex(1 << 20);
        let ledger = Arc::new(Ledger::default());
        (client, Guard::new(server, Arc::clone(&ledger)), ledger)
    }

    /// What the engine would read of these bytes, in pieces of that size.
    async fn passed(text: &str, piece: usize) -> (String, io::Result<()>, Arc<Ledger>) {
        let (mut client, mut guard, ledger) = stage();
        client.write_all(text.as_bytes()).await.expect("room");
        drop(client);
        let (mut all, mut buffer) = (Vec::new(), vec![0; piece]);
        let outcome = loop {
            let read = tokio::time::timeout(Duration::from_secs(1), guard.read(&mut buffer));
            match read.await {
                Ok(Ok(0)) | Err(_) => break Ok(()),
                Ok(Ok(read)) => all.extend_from_slice(&buffer[..read]),
                Ok(Err(error)) => break Err(error),
            }
        };
        (String::from_utf8(all).expect("text"), outcome, ledger)
    }

    #[tokio::test(start_paused = true)]
    async fn good_requests_pass_as_they_are() {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
        let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        let text = format!("{GET}{post}{chunked}\r\n{GET}");
        for piece in [1, 7, 1000] {
            let (all, outcome, ledger) = passed(&text, piece).await;
            assert_eq!(all, format!("{GET}{post}{chunked}{GET}"));
            assert!(outcome.is_ok() && ledger.is_busy());
            assert!((0..4).all(|_| ledger.begin_answer().is_ok()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_head_is_known_by_its_number() {
        let (all, outcome, ledger) = passed(&format!("{GET}GET /evil HTTP/1.1\r\nHost : a\r\n\r\n{GET}"), 1000).await;
        assert_eq!(all, format!("{GET}{}", std::str::from_utf8(STAND_IN).expect("text")));
        assert!(outcome.is_ok());
        assert_eq!(ledger.begin_answer(), Ok(()));
        let refusal = ledger.begin_answer().expect_err("refused");
        assert_eq!(refusal.reason, "white space between a field's name and its colon");
    }

    #[tokio::test(start_paused = true)]
    async fn bad_content_ends_in_an_error() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (all, outcome, ledger) = passed(&format!("{head}5\r\nhello\r\nZZ\r\n{GET}"), 4).await;
        assert!(all.starts_with(head) && !all.contains("ZZ") && !all.contains("GET"), "{all}");
        assert!(outcome.is_err());
        assert_eq!(ledger.content_refusal().map(|refusal| refusal.status), Some(StatusCode::BAD_REQUEST));
    }

    #[tokio::test(start_paused = true)]
    async fn no_wait_is_without_end() {
        for (sent, limit, answered) in [
            ("", IDLE, 0),
            ("GET / HT", HEAD, 0),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhello", STILL, 0),
            (GET, IDLE, 1),
        ] {
            let (mut client, mut guard, ledger) = stage();
            client.write_all(sent.as_bytes()).await.expect("room");
            let begun = Instant::now();
            for _ in 0..answered {
                let mut head = [0; GET.len()];
                guard.read_exact(&mut head).await.expect("a head");
                ledger.answer_ended();
            }
            let mut all = Vec::new();
            let read = guard.read_to_end(&mut all);
            drop(tokio::time::timeout(limit + Duration::from_millis(100), read).await);
            assert!(begun.elapsed() >= limit, "{sent:?}");
            match limit {
                HEAD if sent.starts_with("GET") => {
                    assert_eq!(ledger.begin_answer().expect_err("late").status, StatusCode::REQUEST_TIMEOUT);
                }
                STILL => {
                    assert_eq!(ledger.content_refusal().expect("late").status, StatusCode::REQUEST_TIMEOUT);
                }
                _ => assert!(begun.elapsed() < limit + Duration::from_millis(50), "{sent:?} ends without a word"),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn empty_lines_are_no_request_and_a_request_in_pieces_is_one() {
        let (mut client, mut guard, _) = stage();
        let drip = async {
            while client.write_all(b"\r\n").await.is_ok() {
                sleep(Duration::from_secs(10)).await;
            }
        };
        let begun = Instant::now();
        let read = async {
            assert_eq!(guard.read(&mut [0; 100]).await.expect("an end"), 0);
            begun.elapsed()
        };
        tokio::select! { () = drip => {}, took = read => assert!(took < IDLE + Duration::from_secs(1), "{took:?}") }

        let (mut client, mut guard, ledger) = stage();
        let drip = async {
            for piece in [&GET[..9], &GET[9..]].repeat(3) {
                client.write_all(piece.as_bytes()).await.expect("a guard that reads");
                sleep(HEAD - Duration::from_secs(1)).await;
            }
        };
        let read = async {
            let mut head = [0; GET.len()];
            for _ in 0..3 {
                guard.read_exact(&mut head).await.expect("a head");
                assert_eq!(head, *GET.as_bytes());
                ledger.answer_ended();
            }
        };
        tokio::join!(drip, read);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_answer_is_waited_for() {
        let (mut client, mut guard, ledger) = stage();
        client.write_all(GET.as_bytes()).await.expect("room");
        let mut head = [0; GET.len()];
        guard.read_exact(&mut head).await.expect("a head");
        let day = Duration::from_secs(24 * 3600);
        assert!(tokio::time::timeout(day, guard.read_u8()).await.is_err());
        ledger.answer_ended();
        let begun = Instant::now();
        assert_eq!(guard.read(&mut head).await.expect("an end"), 0);
        assert!(begun.elapsed() >= IDLE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_given_up() {
        let (client, server) = duplex(10);
        let mut guard = Guard::new(server, Arc::default());
        let begun = Instant::now();
        let error = guard.write_all(&[0; 100]).await.expect_err("no room");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() >= STILL);
        drop(client);
    }
}
