//! One connection, from its acceptance to its end.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use super::received::ReceivedRequest;
use super::reply::Reply;
use super::script::{Script, Step};
use super::server::{Shared, Visit};
use super::wire::{Fault, Wire};

/// How a connection ends.
enum End {
    /// In good order, from this side.
    Close,
    /// At once.
    Reset,
    /// The client went first.
    Gone,
}

impl From<Fault> for End {
    fn from(_: Fault) -> Self {
        Self::Gone
    }
}

struct Player<S> {
    shared: Arc<Shared>,
    visit: Visit,
    wire: Wire<S>,
    /// The method of the last request, which decides whether an answer has a body.
    method: String,
}

/// Plays a connection to its end. `reset` makes the drop of the stream a reset.
pub(super) async fn play<S>(shared: Arc<Shared>, visit: Visit, stream: S, reset: fn(&S))
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let script = shared.connection_script(visit.number());
    let mut player = Player { shared, visit, wire: Wire::new(stream), method: String::new() };
    let ended = match script {
        Some(script) => player.run(&script).await,
        None => player.answer_requests().await,
    };
    match ended {
        Ok(()) | Err(End::Close) => {
            if player.wire.end().await.is_ok() {
                player.wire.drain().await;
            }
        }
        Err(End::Reset) => reset(player.wire.stream()),
        Err(End::Gone) => {}
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Player<S> {
    async fn answer_requests(&mut self) -> Result<(), End> {
        loop {
            let request = self.request().await?;
            let wants_close = request.wants_close();
            let script = self.shared.script_for(&request);
            self.shared.keep(request);
            self.run(&script).await?;
            if wants_close {
                return Err(End::Close);
            }
        }
    }

    async fn run(&mut self, script: &Script) -> Result<(), End> {
        let mut next = 0;
        while let Some(step) = script.steps().get(next) {
            next += 1;
            if matches!(step, Step::Repeat) {
                next = 0;
                // A script that only repeats must not hold the thread.
                tokio::task::yield_now().await;
            } else {
                self.step(step).await?;
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), End> {
        match step {
            Step::Request => {
                let request = self.request().await?;
                self.shared.keep(request);
            }
            Step::Head => {
                let request = self.head().await?;
                self.shared.keep(request);
            }
            Step::Answer { reply, pieces } => {
                let bytes = reply.bytes(&self.method);
                match pieces {
                    None => self.wire.send(&bytes).await?,
                    Some((size, pause)) => self.send_in_pieces(&bytes, *size, *pause).await?,
                }
            }
            Step::Send(bytes) => self.wire.send(bytes).await?,
            Step::Pieces { bytes, size, pause } => self.send_in_pieces(bytes, *size, *pause).await?,
            Step::Generate(make) => {
                for number in 0.. {
                    let Some(bytes) = make(number) else { break };
                    self.wire.send(&bytes).await?;
                    // A client that takes everything at once must not hold the thread.
                    tokio::task::consume_budget().await;
                }
            }
            Step::Pause(pause) => self.shared.sleep(*pause).await,
            Step::Wait(gate) => gate.opened().await,
            Step::Stall => {
                self.wire.until_gone().await;
                return Err(End::Gone);
            }
            Step::HalfClose => self.wire.end().await?,
            Step::Close => return Err(End::Close),
            Step::Reset => return Err(End::Reset),
            Step::Repeat => {}
        }
        Ok(())
    }

    async fn send_in_pieces(&mut self, bytes: &[u8], size: usize, pause: std::time::Duration) -> Result<(), End> {
        for (number, piece) in bytes.chunks(size.max(1)).enumerate() {
            if number > 0 {
                self.shared.sleep(pause).await;
            }
            self.wire.send(piece).await?;
        }
        Ok(())
    }

    async fn head(&mut self) -> Result<ReceivedRequest, End> {
        match self.wire.head(self.visit.number(), self.shared.bounds()).await {
            Ok(Some(request)) => {
                self.method.clone_from(&request.method);
                Ok(request)
            }
            Ok(None) => Err(End::Gone),
            Err(fault) => Err(self.refuse(fault).await),
        }
    }

    async fn request(&mut self) -> Result<ReceivedRequest, End> {
        let mut request = self.head().await?;
        match self.wire.body(&mut request, self.shared.bounds()).await {
            Ok(()) => Ok(request),
            Err(fault) => {
                self.shared.keep(request);
                Err(self.refuse(fault).await)
            }
        }
    }

    /// Tells a client that speaks no HTTP what is wrong.
    async fn refuse(&mut self, fault: Fault) -> End {
        match fault {
            Fault::Gone => End::Gone,
            Fault::Malformed(why) => {
                let sent =
                    self.wire.send(&Reply::status(400).header("connection", "close").body(why).bytes("GET")).await;
                if sent.is_ok() { End::Close } else { End::Gone }
            }
        }
    }
}
