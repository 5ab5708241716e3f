//! `netcomm sse`: an event stream that comes back, on stdout.

mod id_file;
mod setup;
mod show;

use std::future::poll_fn;
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;

use netcomm::sse::{End, EventStream, Notice};
use netcomm::{Error, Result};

use crate::args::Sse;
use crate::exit;
use crate::signal::interrupt;
use show::Show;

/// How it ended.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// How the source ended, where it did by itself.
    pub(super) end: Option<End>,
    /// What went wrong on this side: options, stdout.
    pub(super) fault: Option<Error>,
    /// Whether Ctrl-C ended it.
    pub(super) interrupted: bool,
    /// Events that were shown.
    pub(super) events: u64,
    /// The last event id.
    pub(super) last_event_id: String,
}

impl Ending {
    pub(super) fn error(&self) -> Option<&Error> {
        self.fault.as_ref().or(match &self.end {
            Some(End::Failed(error)) => Some(error),
            _ => None,
        })
    }

    fn code(&self) -> ExitCode {
        match self.error() {
            _ if self.interrupted => ExitCode::from(exit::INTERRUPTED),
            Some(error) => exit::code(error),
            None => ExitCode::SUCCESS,
        }
    }
}

/// Reads, and tells how it ended.
pub(crate) async fn run(args: &Sse) -> ExitCode {
    let mut show = Show::new(&args.show);
    let mut ending = Ending::default();
    match setup::stream(args).await {
        Ok(mut stream) => {
            read(&mut stream, args.show.count, &mut show, &mut ending).await;
            stream.last_event_id().clone_into(&mut ending.last_event_id);
        }
        Err(error) => ending.fault = Some(error),
    }
    show.ending(&ending);
    ending.code()
}

async fn read(stream: &mut EventStream, count: Option<u64>, show: &mut Show, ending: &mut Ending) {
    // One for all turns: what comes while something is shown is heard in the next.
    let mut interrupted = pin!(interrupt());
    loop {
        let notice = tokio::select! {
            biased;
            () = &mut interrupted, if !ending.interrupted => {
                ending.interrupted = true;
                stream.close();
                // The second one ends the process, even where an id is kept for ever.
                drop(tokio::spawn(async {
                    interrupt().await;
                    std::process::exit(exit::INTERRUPTED.into());
                }));
                continue;
            }
            notice = next(stream, show) => notice,
        };
        let is_counted = matches!(notice, Ok(Some(Notice::Event(_))));
        let outcome: Result<()> = match notice {
            Ok(Some(Notice::Closed(end))) => {
                ending.end = Some(end);
                Ok(())
            }
            Ok(Some(notice)) => show.notice(&notice),
            Ok(None) => break,
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            ending.fault.get_or_insert(error);
            stream.close();
        }
        if is_counted {
            ending.events += 1;
            if count == Some(ending.events) {
                stream.close();
            }
        }
    }
    if let Err(error) = show.flush() {
        ending.fault.get_or_insert(error);
    }
}

/// The next thing; before it has to be waited for, what was taken is written.
async fn next(stream: &mut EventStream, show: &mut Show) -> Result<Option<Notice>> {
    poll_fn(|cx| match stream.poll_notice(cx) {
        Poll::Ready(notice) => Poll::Ready(Ok(notice)),
        Poll::Pending => match show.flush() {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        },
    })
    .await
}
