//! A wire that fails when the test says so.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One direction of a wire, as the end sees it that holds the [`FaultyStream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What is read from the wire.
    In,
    /// What is written to it.
    Out,
}

/// What becomes of a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing passes, nobody is told: a read or a write waits until the wire is [healed](FaultyWire::heal).
    Stall,
    /// What is read ends; what is written is refused with `BrokenPipe`, and the far end sees the end of its stream.
    End,
    /// An error of kind `ConnectionReset`.
    Reset,
    /// What is written is taken and lost, as on a link of which one end is gone. For what is read the same as a stall.
    Lose,
}

/// Steers the wire between a [`FaultyStream`] and what is beneath it. Cheap to clone; all clones steer the same wire.
///
/// A new one lets everything pass.
///
/// # Examples
///
/// ```
/// use netcomm_tests::{Fault, FaultyWire, Way};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let wire = FaultyWire::new();
/// let (near, mut far) = duplex(64);
/// let mut near = wire.wrap(near);
/// wire.after(3, Way::In, Fault::Reset);
/// far.write_all(b"hello").await.unwrap();
/// let mut seen = Vec::new();
/// assert_eq!(near.read_to_end(&mut seen).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
/// assert_eq!(seen, b"hel");
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct FaultyWire {
    ways: Arc<[Mutex<Lane>; 2]>,
}

#[derive(Debug, Default)]
struct Lane {
    passed: u64,
    /// From which byte on what.
    fault: Option<(u64, Fault)>,
    most_bytes: Option<usize>,
    waiting: Option<Waker>,
}

impl FaultyWire {
    /// A wire that lets everything pass.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the wire in front of a stream.
    pub fn wrap<T>(&self, stream: T) -> FaultyStream<T> {
        FaultyStream { stream, wire: self.clone() }
    }

    /// Lets that many more bytes pass in that direction, then the fault begins. It takes the place of one set before.
    pub fn after(&self, bytes: u64, way: Way, fault: Fault) {
        self.steer(way, |lane| lane.fault = Some((lane.passed + bytes, fault)));
    }

    /// Begins a fault at once.
    pub fn now(&self, way: Way, fault: Fault) {
        self.after(0, way, fault);
    }

    /// Lets everything pass again in that direction.
    pub fn heal(&self, way: Way) {
        self.steer(way, |lane| lane.fault = None);
    }

    /// Lets no read or write take more bytes at once than that; `None`: as many as there are.
    pub fn trickle(&self, way: Way, most_bytes: impl Into<Option<usize>>) {
        let most_bytes = most_bytes.into();
        self.steer(way, |lane| lane.most_bytes = most_bytes);
    }

    /// How many bytes have passed in that direction, lost ones included.
    #[must_use]
    pub fn passed(&self, way: Way) -> u64 {
        self.lane(way).passed
    }

    fn lane(&self, way: Way) -> MutexGuard<'_, Lane> {
        self.ways[way as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn steer(&self, way: Way, change: impl FnOnce(&mut Lane)) {
        let waiting = {
            let mut lane = self.lane(way);
            change(&mut lane);
            lane.waiting.take()
        };
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}

impl Lane {
    /// The fault that is on, and how many bytes may pass before there is one.
    fn look(&mut self, cx: &Context<'_>) -> (Option<Fault>, usize) {
        self.waiting = Some(cx.waker().clone());
        let room = match self.fault {
            Some((from, fault)) if from <= self.passed => return (Some(fault), 0),
            Some((from, _)) => usize::try_from(from - self.passed).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        (None, self.most_bytes.map_or(room, |most| room.min(most.max(1))))
    }
}

/// A stream behind a [`FaultyWire`].
#[derive(Debug)]
pub struct FaultyStream<T> {
    stream: T,
    wire: FaultyWire,
}

impl<T: AsyncRead + Unpin> AsyncRead for FaultyStream<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (fault, room) = self.wire.lane(Way::In).look(cx);
        match fault {
            None => {}
            Some(Fault::Stall | Fault::Lose) => return Poll::Pending,
            Some(Fault::End) => return Poll::Ready(Ok(())),
            Some(Fault::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
        // Through a buffer of its own: `take` of a buffer that is not initialized would need to be.
        let mut bytes = vec![0; room.min(buffer.remaining())];
        let mut part = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut part))?;
        buffer.put_slice(part.filled());
        self.wire.lane(Way::In).passed += part.filled().len() as u64;
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for FaultyStream<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (fault, room) = self.wire.lane(Way::Out).look(cx);
        let count = match fault {
            None => ready!(Pin::new(&mut self.stream).poll_write(cx, &bytes[..room.min(bytes.len())]))?,
            Some(Fault::Stall) => return Poll::Pending,
            Some(Fault::Lose) => bytes.len(),
            Some(Fault::End) => {
                ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            Some(Fault::Reset) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        };
        self.wire.lane(Way::Out).passed += count as u64;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (fault, _) = self.wire.lane(Way::Out).look(cx);
        match fault {
            None | Some(Fault::Lose) => Pin::new(&mut self.stream).poll_flush(cx),
            Some(Fault::Stall) => Poll::Pending,
            Some(Fault::End) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Some(Fault::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (fault, _) = self.wire.lane(Way::Out).look(cx);
        match fault {
            None | Some(Fault::End) => Pin::new(&mut self.stream).poll_shutdown(cx),
            Some(Fault::Lose) => Poll::Ready(Ok(())),
            Some(Fault::Stall) => Poll::Pending,
            Some(Fault::Reset) => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
    }
}
