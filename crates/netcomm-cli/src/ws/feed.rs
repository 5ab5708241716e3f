//! From stdin into the connection, and what became of each message.

use std::collections::VecDeque;
use std::time::Duration;

use netcomm::ws::{Connection, Receipt, Status};
use netcomm::{Error, ErrorKind};
use tokio::io::AsyncRead;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep};

use super::input::Input;
use super::stop::{Stop, Why};

/// How long is looked for what was piped in already, once it is over, so that it can be told of.
const GRACE: Duration = Duration::from_millis(100);

/// Reads messages and sends them.
pub(super) struct Feed {
    connection: Connection,
    stop: Stop,
    /// Those of which the last word was not heard.
    receipts: VecDeque<Receipt>,
    fed: Fed,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Fed {
    /// Messages that were read and surely not sent.
    pub(super) not_written: u64,
    /// Messages that may have been sent.
    pub(super) unknown: u64,
    /// What was wrong with stdin.
    pub(super) error: Option<Error>,
}

impl Feed {
    pub(super) fn new(connection: Connection, stop: Stop) -> Self {
        Self { connection, stop, receipts: VecDeque::new(), fed: Fed::default() }
    }

    /// Reads to the end, or until it is told to stop; then waits until nothing more can happen to what was read.
    pub(super) async fn run(mut self, mut input: Input<impl AsyncRead + Unpin>) -> Fed {
        let mut last = None;
        while !matches!(self.stop.why(), Some(Why::Enough | Why::Interrupted)) {
            let next = tokio::select! {
                biased;
                next = input.next() => next,
                () = self.over() => break,
            };
            let message = match next {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(error) => {
                    self.fed.error = Some(error);
                    break;
                }
            };
            match self.connection.send(message).await {
                Ok(receipt) => self.receipts.push_back(receipt),
                Err(_) => {
                    self.fed.not_written += 1;
                    // There may be no end of it.
                    if *last.get_or_insert_with(|| Instant::now() + GRACE) <= Instant::now() {
                        break;
                    }
                }
            }
            while let Some(receipt) = self.receipts.pop_front_if(|receipt| receipt.status() != Status::Queued) {
                self.fed.count(receipt.status());
            }
        }
        for receipt in &mut self.receipts {
            self.fed.count(receipt.written().await);
        }
        self.fed
    }

    /// Waits until nothing more is to be read.
    async fn over(&self) {
        self.stop.wait().await;
        if self.stop.why() == Some(Why::Over) {
            sleep(GRACE).await;
        }
    }
}

impl Fed {
    fn count(&mut self, status: Status) {
        match status {
            Status::Dropped(_) => self.not_written += 1,
            Status::Unknown => self.unknown += 1,
            _ => {}
        }
    }
}

/// What is said if it fell over itself.
pub(super) fn broken(error: JoinError) -> Error {
    Error::new(ErrorKind::Canceled, "read stdin").with_source(error)
}

#[cfg(test)]
mod tests {
    use netcomm::ws::CloseCode;

    use super::*;

    #[tokio::test]
    async fn what_was_piped_in_before_it_was_over_is_told_of() {
        let (connection, _messages) =
            Connection::builder(&netcomm::env(), "ws://127.0.0.1:1/").lazy(true).open().expect("a runtime");
        connection.close(CloseCode::NORMAL, "").await.expect("closed");
        let stop = Stop::new();
        stop.set(Why::Over);
        let input = Input::new(&b"a\nb\nc"[..], None, 10);
        let fed = Feed::new(connection, stop).run(input).await;
        assert_eq!((fed.not_written, fed.unknown, fed.error.is_none()), (3, 0, true));
    }
}
