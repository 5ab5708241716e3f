//! What observers are told of a call, and that they hear of its end exactly once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Version};
use netcomm_core::{CallId, ErrorKind, Event, Interest, Observation};

use super::Call;
use crate::client::Client;
use crate::receive::EndReport;
use crate::timing::Timing;

/// Tells observers of the end of a call that came to no answer, also of one that is dropped.
pub(super) struct Unfinished<'c> {
    pub(super) client: &'c Client,
    pub(super) call: CallId,
    pub(super) started: Instant,
    /// Whether there is an end to tell of.
    pub(super) whole: bool,
}

impl Unfinished<'_> {
    pub(super) fn disarm(mut self) {
        self.whole = false;
    }

    pub(super) fn end(mut self, error: ErrorKind) {
        self.tell(error);
    }

    fn tell(&mut self, error: ErrorKind) {
        if std::mem::take(&mut self.whole) && self.client.tap().wants(Interest::CALL) {
            let now = self.client.clock().now();
            let took = now.saturating_duration_since(self.started);
            let event = Event::CallEnded { status: None, error: Some(error), received_bytes: 0, took };
            let observation = Observation::new(now, event).with_call(self.call, self.client.scope.name().cloned());
            self.client.tap().emit(Interest::CALL, || observation);
        }
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.tell(ErrorKind::Canceled);
    }
}

/// Tells observers of the end of an attempt, also of one that is dropped. Made only where somebody wants to hear of it.
pub(super) struct Underway<'c> {
    client: &'c Client,
    call: CallId,
    number: u32,
    origin: String,
    method: Method,
    begun: Instant,
    /// What it came to; until then it was canceled.
    end: Option<Event>,
}

impl Underway<'_> {
    pub(super) fn end(
        mut self: Box<Self>,
        told: Result<StatusCode, ErrorKind>,
        version: Option<Version>,
        timing: &Timing,
        took: Duration,
    ) {
        self.end = Some(Event::AttemptEnded {
            number: self.number,
            origin: std::mem::take(&mut self.origin),
            method: std::mem::take(&mut self.method),
            version,
            status: told.ok(),
            error: told.err(),
            reused: timing.reused,
            wait: told.is_ok().then_some(timing.wait),
            took,
        });
    }
}

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        let now = self.client.clock().now();
        let event = self.end.take().unwrap_or_else(|| Event::AttemptEnded {
            number: self.number,
            origin: std::mem::take(&mut self.origin),
            method: std::mem::take(&mut self.method),
            version: None,
            status: None,
            error: Some(ErrorKind::Canceled),
            reused: false,
            wait: None,
            took: now.saturating_duration_since(self.begun),
        });
        self.client.tap().emit(Interest::ATTEMPT, || {
            Observation::new(now, event).with_call(self.call, self.client.scope.name().cloned())
        });
    }
}

/// Who tells the observers of the call's end.
pub(super) enum End {
    /// The call: the body was there with its head, or there is none of ours.
    Now(u64),
    /// The body, when it has been read or dropped.
    Later(Arc<EndReport>),
    /// A body that goes on after a break, or the call of which this one is a part.
    Elsewhere,
}

impl<'c> Call<'c> {
    /// The attempt that begins now, for observers.
    pub(super) fn underway(&self, begun: Instant) -> Underway<'c> {
        Underway {
            client: self.client,
            call: self.id,
            number: self.timing.attempt,
            origin: self.address.origin.to_text(),
            method: self.outgoing.as_ref().map(|request| request.method().clone()).unwrap_or_default(),
            begun,
            end: None,
        }
    }
}

impl Call<'_> {
    pub(super) fn report_end(&self, status: StatusCode) {
        match &self.end {
            End::Elsewhere => {}
            End::Later(report) => report.is_answer(),
            End::Now(received_bytes) => self.emit(Interest::CALL, || Event::CallEnded {
                status: Some(status),
                error: None,
                received_bytes: *received_bytes,
                took: self.client.clock().now().saturating_duration_since(self.started),
            }),
        }
    }

    pub(super) fn emit(&self, interest: Interest, make: impl FnOnce() -> Event) {
        if self.client.tap().wants(interest) {
            self.emit_at(self.client.clock().now(), interest, make);
        }
    }

    pub(super) fn emit_at(&self, at: Instant, interest: Interest, make: impl FnOnce() -> Event) {
        self.client
            .tap()
            .emit(interest, || Observation::new(at, make()).with_call(self.id, self.client.scope.name().cloned()));
    }
}
