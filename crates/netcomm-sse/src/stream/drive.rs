//! What any poll of a source does: one step after the other, from the first request to the end.

mod idle;
mod read;
mod wait;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use netcomm_core::{
    AnyTransport, Attempt, Body, CallId, Env, Error, ErrorKind, Event as Observed, Interest, Network, NetworkChange,
    Observation, Phase as Stage, Reach, Reconnect, Result, Schedule, Sleep, Text, Verdict, redact_url,
};

use super::keep::Keeper;
use crate::event::Event;
use crate::limits::Limits;
use crate::open::{Failure, Outcome, Terms, Try, patience};
use crate::parser::{Filter, Parser};
use crate::prepare::{AnyKeep, AnyPrepare, BoxFuture};
use crate::request::{Request, Resume};
use crate::select::Select;
use crate::state::{Counts, End, Notice, Opened, State};
use idle::Idle;

/// Whether an event that came first after a return leaves a gap behind the id that was asked for.
pub(crate) type Gaps = Arc<dyn Fn(&str, &Event) -> bool + Send + Sync>;

/// What a source was built to do.
pub(crate) struct Plan {
    pub(crate) env: Env,
    pub(crate) transport: AnyTransport,
    pub(crate) request: Request,
    pub(crate) prepare: Option<AnyPrepare>,
    pub(crate) keep: Option<AnyKeep>,
    pub(crate) terms: Terms,
    pub(crate) reconnect: Reconnect,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) limits: Limits,
    pub(crate) comments: bool,
    pub(crate) last_event_id: Text,
    pub(crate) sentinel: Option<Text>,
    pub(crate) gaps: Option<Gaps>,
    pub(crate) types: Option<Vec<Select>>,
}

/// A source at work.
pub(crate) struct Drive {
    env: Env,
    transport: AnyTransport,
    request: Request,
    prepare: Option<AnyPrepare>,
    keeper: Option<Keeper>,
    terms: Terms,
    sentinel: Option<Text>,
    gaps: Option<Gaps>,
    parser: Parser,
    schedule: Schedule,
    idle: Idle,
    phase: Phase,
    state: State,
    /// What happened and was not told yet.
    notes: VecDeque<Notice>,
    /// As it was when it was last looked at, and word of the next change.
    network: Network,
    change: NetworkChange,
    /// The id that the stream of now goes on from, until its first event.
    resumed_after: Option<Text>,
    /// The call that carries the stream, if its transport told.
    call: CallId,
    /// The id before the event that waits behind a gap.
    before_gap: Text,
    /// What ended the last try, for the next one.
    cause: Option<Error>,
    refresh: bool,
    /// Chunks that came one after the other, without a moment in which none was there.
    in_a_row: u32,
    counts: Counts,
}

enum Phase {
    /// The next try is due.
    Due,
    Load(BoxFuture<'static, Result<Option<String>>>),
    Try(BoxFuture<'static, Result<Outcome, Failure>>),
    Read {
        body: Body,
        since: Instant,
        /// Events before this stream.
        events: u64,
    },
    Wait(Sleep),
    /// Waits for a network.
    Offline,
    /// It is over, once the id is kept.
    Ending(End, Sleep),
    Over,
}

/// How long an end waits for the last id to be kept.
const LAST_PATIENCE: Duration = Duration::from_secs(10);

impl Drive {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut parser =
            Parser::new().with_limits(plan.limits).with_comments(plan.comments).with_last_event_id(plan.last_event_id);
        parser.set_filter(plan.types.map(filter));
        let network = plan.env.connectivity().current();
        let keeper = plan.keep.map(Keeper::new);
        Self {
            phase: keeper.as_ref().map_or(Phase::Due, |keeper| Phase::Load(keeper.load(&plan.env, plan.terms.timeout))),
            change: plan.env.connectivity().changed(network),
            idle: Idle::new(plan.idle_timeout, plan.env.clock()),
            env: plan.env,
            transport: plan.transport,
            request: plan.request,
            prepare: plan.prepare,
            keeper,
            terms: plan.terms,
            sentinel: plan.sentinel,
            gaps: plan.gaps,
            parser,
            schedule: Schedule::new(plan.reconnect),
            state: State::Idle,
            notes: VecDeque::new(),
            network,
            resumed_after: None,
            call: CallId::default(),
            before_gap: Text::default(),
            cause: None,
            refresh: false,
            in_a_row: 0,
            counts: Counts::default(),
        }
    }

    /// The next thing that happens. Nothing more comes after [`Notice::Closed`].
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        loop {
            if let Some(notice) = self.notes.pop_front() {
                return Poll::Ready(notice);
            }
            if let Phase::Due | Phase::Try(_) | Phase::Wait(_) | Phase::Offline = self.phase
                && let Some(notice) = self.keep_id(cx)
            {
                return Poll::Ready(notice);
            }
            match &mut self.phase {
                Phase::Read { .. } => {
                    if let Some(notice) = ready!(self.poll_read(cx)) {
                        return Poll::Ready(notice);
                    }
                }
                Phase::Due => self.begin(),
                Phase::Load(load) => {
                    let loaded = ready!(load.as_mut().poll(cx));
                    self.loaded(loaded);
                }
                Phase::Try(attempt) => {
                    let outcome = ready!(attempt.as_mut().poll(cx));
                    self.tried(outcome);
                }
                Phase::Wait(_) => ready!(self.poll_wait(cx)),
                Phase::Offline => ready!(self.poll_offline(cx)),
                Phase::Ending(..) => ready!(self.poll_ending(cx)),
                Phase::Over => return Poll::Pending,
            }
        }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn last_event_id(&self) -> &str {
        self.parser.last_event_id()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn set_types(&mut self, types: Option<Vec<Select>>) {
        self.parser.set_filter(types.map(filter));
    }

    pub(crate) fn set_filter(&mut self, filter: Option<Filter>) {
        self.parser.set_filter(filter);
    }

    pub(crate) fn restart(&mut self) {
        let now = self.env.clock().now();
        match self.phase {
            Phase::Load(_) => return,
            Phase::Read { .. } => {
                self.leave(&Error::new(ErrorKind::Canceled, "read event stream").with_detail("restarted"), now);
                self.schedule.lost(now);
                self.schedule.trying();
            }
            Phase::Ending(..) | Phase::Over => {
                self.schedule.begin_anew();
                // An end that was not told is none.
                self.notes.retain(|note| !matches!(note, Notice::Closed(_)));
                if let Some(keeper) = self.keeper.as_mut().filter(|keeper| !keeper.is_loaded()) {
                    self.phase = Phase::Load(keeper.load(&self.env, self.terms.timeout));
                    self.state = State::Idle;
                    return;
                }
            }
            Phase::Due | Phase::Try(_) | Phase::Wait(_) | Phase::Offline => self.schedule.trying(),
        }
        self.phase = Phase::Due;
        self.state = State::Connecting { attempt: self.schedule.attempt() };
    }

    pub(crate) fn close(&mut self, end: End) {
        if matches!(self.phase, Phase::Ending(..) | Phase::Over) {
            return;
        }
        if let Phase::Read { since, events, .. } = self.phase {
            let error = if let End::Failed(error) = &end { Some(error.kind()) } else { None };
            self.observe_end(since, events, error);
            self.parser.end();
        }
        if let End::Owner = end {
            if self.notes.iter().any(|note| matches!(note, Notice::Event(_))) {
                // Nobody will have seen that event.
                self.parser.set_last_event_id(std::mem::take(&mut self.before_gap));
            }
            self.notes.clear();
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.insist(self.parser.last_event_id());
        }
        self.phase = Phase::Ending(end, patience(&**self.env.clock(), LAST_PATIENCE));
    }

    fn loaded(&mut self, loaded: Result<Option<String>>) {
        match loaded {
            Ok(id) => {
                if let Some(id) = id {
                    self.parser.set_last_event_id(id);
                }
                if let Some(keeper) = &mut self.keeper {
                    keeper.loaded(self.parser.last_event_id());
                }
                self.phase = Phase::Due;
            }
            Err(error) => self.close(End::Failed(error)),
        }
    }

    /// Makes the next try, if there is a network.
    fn begin(&mut self) {
        self.look_at_network();
        if self.network.reach == Reach::Offline && !self.request.is_local() {
            let cause = self.cause.clone().unwrap_or_else(|| Error::new(ErrorKind::Offline, "open event stream"));
            let attempt = self.schedule.attempt().saturating_sub(1);
            self.state = State::Backoff { attempt, until: None, cause: cause.clone() };
            self.notes.push_back(Notice::Waiting { attempt, wait: None, cause });
            self.phase = Phase::Offline;
            return;
        }
        let number = self.schedule.attempt();
        let attempt =
            Attempt::new(number).with_refresh(std::mem::take(&mut self.refresh)).with_cause(self.cause.take());
        let made = Try {
            request: self.request.next(),
            prepare: self.prepare.clone(),
            attempt,
            last_event_id: self.parser.last_event_id().to_owned(),
            transport: self.transport.clone(),
            clock: Arc::clone(self.env.clock()),
            terms: self.terms.clone(),
        };
        self.counts.attempts += 1;
        self.state = State::Connecting { attempt: number };
        self.notes.push_back(Notice::Connecting { attempt: number });
        self.phase = Phase::Try(Box::pin(made.run()));
    }

    fn tried(&mut self, outcome: Result<Outcome, Failure>) {
        let now = self.env.clock().now();
        match outcome {
            Ok(Outcome::Stop) => self.close(End::NoContent),
            Ok(Outcome::Open { body, status, headers, resume, call }) => {
                self.call = call;
                let attempt = self.schedule.attempt();
                self.schedule.opened();
                self.schedule.ready(now);
                self.counts.streams += 1;
                self.idle.begin(now);
                self.resumed_after = match &resume {
                    Resume::After(id) if self.gaps.is_some() => Some(id.clone()),
                    _ => None,
                };
                self.env.tap().emit(Interest::CONNECTION, || {
                    let url = redact_url(self.request.as_url());
                    let resumed = matches!(resume, Resume::After(_));
                    Observation::new(now, Observed::StreamOpened { url, resumed }).with_call(call, None)
                });
                self.state = State::Open;
                self.notes.push_back(Notice::Open(Opened { attempt, status, headers, resume }));
                self.phase = Phase::Read { body, since: now, events: self.counts.events };
            }
            Err(failure) => {
                let wait = failure.error.retry_at().map(|at| at.saturating_duration_since(now));
                let judged = failure.verdict(Verdict::of(&failure.error, now), wait, self.prepare.is_some());
                self.failed(failure.error, judged, now);
            }
        }
    }

    /// Another try, or none.
    fn failed(&mut self, error: Error, judged: Verdict, now: Instant) {
        let verdict = self.schedule.settings().verdict(&error, |_| judged);
        self.wait_or_give_up(error, verdict, now);
    }

    /// Goes on keeping the last event id: all events up to it were taken. What went wrong, if something did.
    fn keep_id(&mut self, cx: &mut Context<'_>) -> Option<Notice> {
        match self.keeper.as_mut()?.poll(self.parser.last_event_id(), cx) {
            Poll::Ready(Err(error)) => Some(Notice::NotKept(error)),
            Poll::Ready(Ok(())) | Poll::Pending => None,
        }
    }

    fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Phase::Ending(_, patience) = &mut self.phase else { return Poll::Ready(()) };
        if let Some(keeper) = &mut self.keeper {
            loop {
                match keeper.poll(self.parser.last_event_id(), cx) {
                    Poll::Ready(Ok(())) => break,
                    // The one before the last, perhaps.
                    Poll::Ready(Err(error)) => self.notes.push_back(Notice::NotKept(error)),
                    Poll::Pending => {
                        ready!(patience.as_mut().poll(cx));
                        keeper.forsake();
                        self.notes.push_back(Notice::NotKept(Error::timeout("keep last event id", Stage::Total)));
                        break;
                    }
                }
            }
        }
        let Phase::Ending(end, _) = std::mem::replace(&mut self.phase, Phase::Over) else { return Poll::Ready(()) };
        self.state = State::Closed(end.clone());
        self.notes.push_back(Notice::Closed(end));
        Poll::Ready(())
    }

    /// Takes the network as it is now for the one that is known.
    fn look_at_network(&mut self) {
        let network = self.env.connectivity().current();
        if network != self.network {
            self.network = network;
            self.change = self.env.connectivity().changed(network);
        }
    }

    /// Ready as often as the network differs from the one that is known.
    fn poll_network(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.network = ready!(self.change.as_mut().poll(cx));
        self.change = self.env.connectivity().changed(self.network);
        Poll::Ready(())
    }
}

fn filter(types: Vec<Select>) -> Filter {
    Arc::new(move |event_type: &str| types.iter().any(|select| select.matches(event_type)))
}

impl fmt::Debug for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Due => "Due",
            Self::Load(_) => "Load",
            Self::Try(_) => "Try",
            Self::Read { .. } => "Read",
            Self::Wait(_) => "Wait",
            Self::Offline => "Offline",
            Self::Ending(..) => "Ending",
            Self::Over => "Over",
        })
    }
}
