//! Plays a case: both parts, step by step.

use std::time::Duration;

use netcomm_core::{Backoff, Reconnect};
use netcomm_sse::EventStream;
use tokio::time::Instant;

use crate::client::{Client, Form};
use crate::score::Score;
use crate::script::{Case, Step, Time, Want};
use crate::server::{Asked, Peer, Server};
use crate::told::{Ending, Told};

/// Nothing that has to happen takes that long: who waits longer waits in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// The path that sources are asked for.
pub(crate) const PATH: &str = "/stream";

/// All cases, judged.
pub(crate) fn score(part: &'static str, cases: &[Case]) -> Score {
    let mut score = Score::new(part);
    for case in cases {
        score.add(&case.name, play(case));
    }
    score
}

/// With a source of either form, each in a runtime of its own.
fn play(case: &Case) -> Result<(), String> {
    for form in Form::ALL {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(case.time == Time::Leaping)
            .build()
            .map_err(|error| error.to_string())?;
        runtime.block_on(Play::run(case, form)).map_err(|wrong| format!("{form:?}: {wrong}"))?;
    }
    Ok(())
}

struct Play {
    server: Server,
    client: Client,
    /// Where the last request came on, until its answer is whole.
    peer: Option<Peer>,
    asked_at: Option<Instant>,
    /// Bytes of streams that were sent.
    sent: u64,
    is_over: bool,
}

impl Play {
    async fn run(case: &Case, form: Form) -> Result<(), String> {
        let (server, env) = match case.time {
            Time::Real => Server::loopback().await.map_err(|error| error.to_string())?,
            Time::Leaping => Server::in_memory(),
        };
        let soon = Duration::from_millis(1);
        let reconnect = Reconnect::default().first(soon).floor(soon).backoff(Backoff::new(soon, soon));
        let builder = EventStream::builder(&env, format!("{}{PATH}", server.url())).comments(true).reconnect(reconnect);
        let client = Client::start(form, (case.set)(builder))?;
        let mut play = Self { server, client, peer: None, asked_at: None, sent: 0, is_over: false };
        for (number, step) in case.steps.iter().enumerate() {
            let done = tokio::time::timeout(PATIENCE, play.step(step)).await;
            done.unwrap_or_else(|_| Err("waited in vain".to_owned()))
                .map_err(|wrong| format!("step {} ({}): {wrong}", number + 1, name(step)))?;
        }
        tokio::time::timeout(PATIENCE, play.end()).await.unwrap_or_else(|_| Err("it does not end".to_owned()))
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        let io = |error: std::io::Error| error.to_string();
        match step {
            Step::Asks(wants) => {
                let (asked, peer) = self.server.asked().await.map_err(io)?;
                let now = Instant::now();
                let since = self.asked_at.replace(now).map(|before| now.saturating_duration_since(before));
                self.peer = Some(peer);
                wants.iter().try_for_each(|want| want.check(&asked, since))
            }
            Step::Opens(content_type) => self.peer()?.open(content_type).await.map_err(io),
            Step::Says(chunk) => {
                self.peer()?.say(chunk).await.map_err(io)?;
                self.sent += chunk.len() as u64;
                self.client.has_read(self.sent).await;
                Ok(())
            }
            Step::Ends => self.peer.take().ok_or(NO_REQUEST)?.end().await.map_err(io),
            Step::Answers(status, fields) => {
                let url = self.server.url().to_owned();
                let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.replace("{url}", &url))).collect();
                self.peer()?.answer(*status, &fields).await.map_err(io)
            }
            Step::Tells(expected) => {
                self.is_over |= matches!(expected, Told::Over(_));
                match self.client.next(expected).await? {
                    Some(told) if told == *expected => Ok(()),
                    Some(told) => Err(format!("{told:?}")),
                    None => Err("nothing more".to_owned()),
                }
            }
            Step::Restarts => {
                self.client.restart();
                Ok(())
            }
            Step::Closes => {
                self.client.close();
                Ok(())
            }
            Step::LetsGo => {
                self.peer()?.gone().await;
                Ok(())
            }
        }
    }

    /// The client tells nothing more, and nobody asks for anything.
    async fn end(mut self) -> Result<(), String> {
        self.client.close();
        let rest = self.client.rest().await?;
        let expected: &[Told] = if self.is_over { &[] } else { &[Told::Over(Ending::Owner)] };
        if rest != expected {
            return Err(format!("then {rest:?}"));
        }
        // The one who takes connections has its turn.
        tokio::task::yield_now().await;
        match self.server.has_more() {
            true => Err("one more request".to_owned()),
            false => Ok(()),
        }
    }

    fn peer(&mut self) -> Result<&mut Peer, String> {
        self.peer.as_mut().ok_or_else(|| NO_REQUEST.to_owned())
    }
}

const NO_REQUEST: &str = "nobody has asked";

fn name(step: &Step) -> String {
    match step {
        Step::Says(chunk) => format!("says {} bytes", chunk.len()),
        Step::Tells(told) => format!("tells {told:?}"),
        step => format!("{step:?}"),
    }
}

impl Want {
    fn check(&self, asked: &Asked, since: Option<Duration>) -> Result<(), String> {
        let (is_so, seen) = match *self {
            Self::Method(method) => (asked.method == method, Some(asked.method.as_str())),
            Self::Target(target) => (asked.target == target, Some(asked.target.as_str())),
            Self::Field(name, value) => (asked.field(name) == Some(value), asked.field(name)),
            Self::NoField(name) => (asked.field(name).is_none(), asked.field(name)),
            Self::Body(body) => (asked.body == body, Some(asked.body.as_str())),
            Self::After(least, most) => {
                let is_so = since.is_some_and(|since| (least..=most).contains(&since));
                return if is_so { Ok(()) } else { Err(format!("{self:?}: {since:?}")) };
            }
        };
        if is_so { Ok(()) } else { Err(format!("{self:?}: {seen:?}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{asks, opened, says};
    use crate::told::message;

    fn wrong(steps: Vec<Step>) -> String {
        play(&Case::new("x", steps).leaping()).err().unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_told() {
        let with = |more: Vec<Step>| [opened(), more].concat();
        assert_eq!(wrong(with(vec![says("data: a\n\n"), Step::Tells(message("a"))])), "");
        assert!(wrong(with(vec![says("data: a\n\n"), Step::Tells(message("b"))])).contains("\"a\""));
        assert!(wrong(with(vec![says("data: a\n\n")])).contains("then [event"), "one event more");
        assert!(wrong(with(vec![Step::Ends, Step::Tells(Told::Lost), Step::Tells(Told::Lost)])).contains("in vain"));
        assert!(wrong(vec![asks([Want::Method("POST")])]).contains("\"GET\""));
        assert!(wrong(vec![Step::Ends]).contains("nobody has asked"));
    }

    #[test]
    fn a_request_that_nobody_waits_for_is_one_too_many() {
        let steps = [opened(), vec![Step::Ends, Step::Tells(Told::Lost), Step::Asks(Vec::new())]].concat();
        assert_eq!(wrong(steps.clone()), "");
        let case = Case::new("x", [&steps[..2], &[Step::Restarts, Step::LetsGo, Step::Tells(Told::Lost)]].concat());
        let outcome = play(&case.leaping());
        assert!(outcome.is_err_and(|wrong| wrong.contains("one more request")));
    }
}
