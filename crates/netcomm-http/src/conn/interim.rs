//! The interim responses (RFC 9110 §15.2) that a peer sends ahead of a final one: counted, and told to who asks.
//!
//! The wire engine passes over them without end. So the bytes are looked at before it sees them, from the end of a
//! request to the first status line that is final: of an ordinary response that is its first line.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::{HeaderMap, Request, StatusCode};

use super::Upload;
use super::watched::Look;

type Told = dyn Fn(StatusCode, &HeaderMap) + Send + Sync;

/// Called with each interim response, on the task that waits for the final one: must be quick.
#[derive(Clone)]
pub(crate) struct OnInterim(pub(crate) Arc<Told>);

impl OnInterim {
    /// Listens while that request is under way; the engine tells it of HTTP/1.1 alone.
    pub(super) fn listen(&self, request: &mut Request<Upload>) {
        let told = Arc::clone(&self.0);
        hyper::ext::on_informational(request, move |interim| told(interim.status(), interim.headers()));
    }
}

impl fmt::Debug for OnInterim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnInterim")
    }
}

/// `HTTP/1.1 1`: what an interim response begins with, up to the first digit of its status.
const STATUS_AT: usize = 9;

/// What the connection and whoever uses it tell each other.
#[derive(Debug, Default)]
pub(super) struct Interim {
    awaited: AtomicBool,
    seen: AtomicUsize,
    wrote: AtomicBool,
}

impl Interim {
    /// A request is sent: from now on heads are counted.
    pub(super) fn expect_head(&self) {
        self.seen.store(0, Ordering::Relaxed);
        self.awaited.store(true, Ordering::Relaxed);
    }

    /// How many interim responses came since then.
    pub(super) fn seen(&self) -> usize {
        self.seen.load(Ordering::Relaxed)
    }

    /// Whether bytes have gone out since this was asked before.
    pub(super) fn take_wrote(&self) -> bool {
        self.wrote.swap(false, Ordering::Relaxed)
    }
}

/// Finds the heads in a stream of bytes, however it is cut into pieces.
#[derive(Debug, Default)]
struct Scan {
    /// Bytes of the current head so far.
    at: usize,
    /// Whether the line so far is empty.
    empty_line: bool,
}

impl Scan {
    /// Looks at the next bytes; counts interim heads. `true` once a final head has begun.
    fn push(&mut self, bytes: &[u8], seen: &mut usize) -> bool {
        for &byte in bytes {
            if self.at == STATUS_AT {
                if byte != b'1' {
                    return true;
                }
                *seen += 1;
            }
            self.at += 1;
            match byte {
                b'\n' if self.empty_line && self.at > STATUS_AT => *self = Self::default(),
                b'\n' => self.empty_line = true,
                b'\r' => {}
                _ => self.empty_line = false,
            }
        }
        false
    }
}

/// Counts for a connection.
#[derive(Debug)]
pub(super) struct Counter {
    interim: Arc<Interim>,
    scan: Scan,
}

impl Counter {
    pub(super) fn new(interim: Arc<Interim>) -> Self {
        Self { interim, scan: Scan::default() }
    }
}

impl Look for Counter {
    fn look(&mut self, bytes: &[u8]) {
        if !self.interim.awaited.load(Ordering::Relaxed) {
            return;
        }
        let mut seen = 0;
        if self.scan.push(bytes, &mut seen) {
            self.interim.awaited.store(false, Ordering::Relaxed);
            self.scan = Scan::default();
        }
        if seen > 0 {
            self.interim.seen.fetch_add(seen, Ordering::Relaxed);
        }
    }

    fn wrote(&mut self) {
        self.interim.wrote.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_found_however_they_are_cut() {
        let hint = "HTTP/1.1 103 Early Hints\r\nlink: </1 1>\r\n\r\n";
        let bare = "HTTP/1.1 100\n\n";
        for (text, expected) in [
            ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 103 x\r\n\r\n".to_owned(), (0, true)),
            (hint.repeat(3), (3, false)),
            (hint.repeat(2) + bare + "HTTP/1.1 200 OK\r\n\r\n", (3, true)),
            ("HTTP/1.1 101 Switching\r\n".to_owned(), (1, false)),
            ("no response\n\n".to_owned(), (0, true)),
        ] {
            for piece in 1..=text.len() {
                let (mut scan, mut seen) = (Scan::default(), 0);
                let ended = text.as_bytes().chunks(piece).any(|bytes| scan.push(bytes, &mut seen));
                assert_eq!((seen, ended), expected, "{text:?} in pieces of {piece}");
            }
        }
    }
}
