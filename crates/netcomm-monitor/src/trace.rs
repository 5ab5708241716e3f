//! Observations as events of the crate tracing.

use std::time::Duration;

use netcomm_core::{ErrorKind, Event, Interest, Observation, Observe};
use tracing::{Level, enabled};

/// Emits each observation as an event of the crate tracing, with target `netcomm` and a field for each thing that is known.
///
/// | Level | What |
/// |---|---|
/// | warn | what failed: calls, connections, sockets and streams that ended with an error, what is not tried again, origins that are no longer asked, cookies refused, tokens not to be had |
/// | info | ends of calls, sockets and streams, begun and ended; calls put into the outbox; repetitions |
/// | debug | begin of calls, attempts, redirects, lookups, connections, caches, hedges, waits |
/// | trace | messages, events, round trips, pieces of bodies |
///
/// Nothing is built for a level in which no subscriber is interested. Contents and header fields are never asked for, URLs
/// come without user information and query, so that no secret of a request is in an event. The number of a call is the field
/// `call` (absent where there is none), the name of its scope `scope`; times are in milliseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trace {
    _private: (),
}

impl Trace {
    /// An observer that emits.
    #[must_use]
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

const TARGET: &str = "netcomm";

impl Observe for Trace {
    fn interest(&self) -> Interest {
        if !enabled!(target: TARGET, Level::WARN) {
            return Interest::NONE;
        }
        let mut wanted = Interest::CALL | Interest::CONNECTION | Interest::DECISION;
        if enabled!(target: TARGET, Level::DEBUG) {
            wanted = wanted | Interest::ATTEMPT;
        }
        if enabled!(target: TARGET, Level::TRACE) {
            wanted = wanted | Interest::MESSAGE | Interest::TRANSFER;
        }
        wanted
    }

    fn observe(&self, observation: &Observation) {
        emit_call(observation);
    }
}

/// An event with who it belongs to.
macro_rules! emit {
    ($level:ident, $of:expr, $($rest:tt)+) => {{
        let call = Some($of.call.0).filter(|call| *call != 0);
        tracing::event!(target: TARGET, Level::$level, call, scope = $of.scope.as_deref(), $($rest)+)
    }};
}

/// The same at a level that depends on whether something failed.
macro_rules! emit_end {
    ($error:expr, $of:expr, $($rest:tt)+) => {
        match $error {
            Some(error) => emit!(WARN, $of, error = word(error), $($rest)+),
            None => emit!(INFO, $of, $($rest)+),
        }
    };
}

fn word(error: &ErrorKind) -> &'static str {
    error.as_str()
}

fn ms(took: &Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

fn emit_call(of: &Observation) {
    match &of.event {
        Event::CallStarted { method, url } => emit!(DEBUG, of, %method, url, "call started"),
        Event::CallEnded { status, error, received_bytes, took } => {
            let status = status.map(|status| status.as_u16());
            emit_end!(error, of, status, received_bytes, took_ms = ms(took), "call ended");
        }
        Event::Redirected { status, to, crossed_origin } => {
            emit!(DEBUG, of, status = status.as_u16(), to, crossed_origin, "redirected");
        }
        Event::Resumed { offset } => emit!(DEBUG, of, offset, "resumed"),
        Event::AttemptStarted { number, origin } => emit!(DEBUG, of, number, origin, "attempt started"),
        Event::AttemptEnded { number, origin, method, version, status, error, reused, took, .. } => {
            let (status, error) = (status.map(|status| status.as_u16()), error.as_ref().map(word));
            let version = version.map(tracing::field::debug);
            let took_ms = ms(took);
            emit!(DEBUG, of, number, origin, %method, version, status, error, reused, took_ms, "attempt ended");
        }
        _ => emit_decision(of),
    }
}

fn emit_decision(of: &Observation) {
    match &of.event {
        Event::CacheAsked { hit, forwarded, stored, detail } => {
            emit!(DEBUG, of, hit, forwarded, stored, detail, "cache asked");
        }
        Event::Retrying { tries, wait } => emit!(INFO, of, tries, wait_ms = ms(wait), "retrying"),
        Event::GaveUp { why } => emit!(WARN, of, why = why.as_str(), "gave up"),
        Event::Hedged { after } => emit!(DEBUG, of, after_ms = ms(after), "hedged"),
        Event::Held { stage, took, passed } => {
            emit!(DEBUG, of, stage = stage.as_str(), passed, took_ms = ms(took), "held");
        }
        Event::Kept { number, maybe_sent } => emit!(INFO, of, number, maybe_sent, "kept in the outbox"),
        Event::BreakerTurned { origin, until: Some(_) } => emit!(WARN, of, origin, "breaker opened"),
        Event::BreakerTurned { origin, until: None } => emit!(INFO, of, origin, "breaker closed"),
        Event::Deferred { origin, wait } => emit!(INFO, of, origin, wait_ms = ms(wait), "deferred"),
        Event::TokenRefreshed { ok: true } => emit!(DEBUG, of, "token refreshed"),
        Event::TokenRefreshed { ok: false } => emit!(WARN, of, "token not to be had"),
        Event::CookieRefused { host, reason } => emit!(WARN, of, host, reason, "cookie refused"),
        _ => emit_connection(of),
    }
}

fn emit_connection(of: &Observation) {
    match &of.event {
        Event::Resolved { host, addresses, cached, took } => {
            emit!(DEBUG, of, host, addresses, cached, took_ms = ms(took), "resolved");
        }
        Event::Connected { peer, local, through_proxy, origin, steps } => {
            let (peer, local) = (peer.map(tracing::field::display), local.map(tracing::field::display));
            let took_ms = ms(&steps.total());
            emit!(DEBUG, of, peer, local, through_proxy, origin, took_ms, "connected");
        }
        Event::ConnectFailed { origin, error } => emit!(WARN, of, origin, error = word(error), "could not connect"),
        Event::Disconnected { origin, reason } => emit!(DEBUG, of, origin, reason, "disconnected"),
        Event::SocketOpened { url, subprotocol, compressed } => {
            emit!(INFO, of, url, subprotocol = subprotocol.as_deref(), compressed, "socket opened");
        }
        Event::SocketClosed { code, clean, error, took } => {
            emit_end!(error, of, code, clean, took_ms = ms(took), "socket closed");
        }
        Event::StreamOpened { url, resumed } => emit!(INFO, of, url, resumed, "stream opened"),
        Event::StreamEnded { error, events, took } => {
            emit_end!(error, of, events, took_ms = ms(took), "stream ended");
        }
        _ => emit_traffic(of),
    }
}

fn emit_traffic(of: &Observation) {
    match &of.event {
        Event::RoundTrip { took } => emit!(TRACE, of, took_ms = ms(took), "round trip"),
        Event::MessageSent { is_text, bytes } => emit!(TRACE, of, is_text, bytes, "message sent"),
        Event::MessageReceived { is_text, bytes } => emit!(TRACE, of, is_text, bytes, "message received"),
        Event::EventReceived { bytes } => emit!(TRACE, of, bytes, "event received"),
        Event::BodyReceived { bytes } => emit!(TRACE, of, bytes, "body received"),
        // Contents are not asked for; whoever hands them in all the same does not get them into a log.
        _ => {}
    }
}
