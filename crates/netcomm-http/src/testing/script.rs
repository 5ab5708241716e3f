//! What a scripted server does on a connection, step by step.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::gate::Gate;
use super::reply::Reply;

/// Steps that a [`ScriptedServer`](super::ScriptedServer) plays on a connection, in their order.
///
/// A script of a route begins when the request has been read, and after its last step the server waits for the next
/// request. A script of a whole connection ([`on_connect`](super::ScriptedServerBuilder::on_connect)) begins when the
/// connection does and closes it after its last step.
///
/// # Examples
///
/// ```
/// use netcomm_http::testing::{Reply, Script};
///
/// // An interim answer, half of the final one, and the line is cut.
/// let script = Script::new()
///     .send("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n")
///     .reply(Reply::status(200).header("content-length", "10").body("half"))
///     .reset();
///
/// // Header lines without end, whoever reads them.
/// let endless = Script::new()
///     .request()
///     .send("HTTP/1.1 200 OK\r\n")
///     .generate(|n| Some(format!("x-{n}: y\r\n").into()));
/// # drop((script, endless));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Script {
    steps: Vec<Step>,
}

#[derive(Clone)]
pub(super) enum Step {
    Request,
    Head,
    Answer { reply: Arc<Reply>, pieces: Option<(usize, Duration)> },
    Send(Bytes),
    Pieces { bytes: Bytes, size: usize, pause: Duration },
    Generate(Arc<dyn Fn(u64) -> Option<Bytes> + Send + Sync>),
    Pause(Duration),
    Wait(Gate),
    Stall,
    HalfClose,
    Close,
    Reset,
    Repeat,
}

impl Script {
    /// A script without steps.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits for one whole request, head and body, and keeps it. A client that expects a 100 gets one.
    pub fn request(self) -> Self {
        self.step(Step::Request)
    }

    /// Waits for the head of a request and keeps it; its body is never read, so an answer and a close should follow.
    pub fn head(self) -> Self {
        self.step(Step::Head)
    }

    /// Sends an answer to the last request, with all that the [`Reply`] says about it.
    pub fn reply(self, reply: Reply) -> Self {
        self.then(reply)
    }

    /// Sends bytes.
    pub fn send(self, bytes: impl Into<Bytes>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Sends bytes in pieces of `size` with a pause after each but the last. A size of 0 is read as 1.
    pub fn send_in_pieces(self, bytes: impl Into<Bytes>, size: usize, pause: Duration) -> Self {
        self.step(Step::Pieces { bytes: bytes.into(), size, pause })
    }

    /// Sends what `make` gives for 0, 1, 2, … until it gives `None` or the client is gone. One piece is in memory at a
    /// time: it is made when the one before has been taken.
    pub fn generate(self, make: impl Fn(u64) -> Option<Bytes> + Send + Sync + 'static) -> Self {
        self.step(Step::Generate(Arc::new(make)))
    }

    /// Waits by the server's clock.
    pub fn pause(self, pause: Duration) -> Self {
        self.step(Step::Pause(pause))
    }

    /// Waits until the gate is open.
    pub fn wait_for(self, gate: &Gate) -> Self {
        self.step(Step::Wait(gate.clone()))
    }

    /// Does nothing more until the client closes the connection.
    pub fn stall(self) -> Self {
        self.step(Step::Stall)
    }

    /// Ends the own half of the connection; the steps after this can still read.
    pub fn half_close(self) -> Self {
        self.step(Step::HalfClose)
    }

    /// Closes the connection in good order: ends the own half and passes over what the client still sends until it
    /// closes too.
    pub fn close(self) -> Self {
        self.step(Step::Close)
    }

    /// Resets the connection: what is under way is lost. A stream that is no TCP socket is dropped, which is the nearest
    /// it has.
    pub fn reset(self) -> Self {
        self.step(Step::Reset)
    }

    /// Begins again with the first step, for ever.
    pub fn repeat(self) -> Self {
        self.step(Step::Repeat)
    }

    /// Goes on with the steps of another script.
    pub fn then(mut self, script: impl Into<Self>) -> Self {
        self.steps.extend(script.into().steps);
        self
    }

    pub(super) fn answer(self, reply: Reply, pieces: Option<(usize, Duration)>) -> Self {
        self.step(Step::Answer { reply: Arc::new(reply), pieces })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => f.write_str("Request"),
            Self::Head => f.write_str("Head"),
            Self::Answer { reply, pieces } => {
                f.debug_struct("Answer").field("reply", reply).field("pieces", pieces).finish()
            }
            Self::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Self::Pieces { bytes, size, pause } => {
                write!(f, "Pieces({} bytes, {size} each {pause:?})", bytes.len())
            }
            Self::Generate(_) => f.write_str("Generate"),
            Self::Pause(pause) => write!(f, "Pause({pause:?})"),
            Self::Wait(gate) => write!(f, "Wait({gate:?})"),
            Self::Stall => f.write_str("Stall"),
            Self::HalfClose => f.write_str("HalfClose"),
            Self::Close => f.write_str("Close"),
            Self::Reset => f.write_str("Reset"),
            Self::Repeat => f.write_str("Repeat"),
        }
    }
}
