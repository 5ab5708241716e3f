//! The connection that the options describe.

use std::error::Error as _;
use std::time::Duration;

use http::HeaderValue;
use http::header::{AUTHORIZATION, USER_AGENT};
use netcomm::core::PrivateAddresses;
use netcomm::dial::SystemClock;
use netcomm::ws::{
    CloseCode, Closed, Closer, Connection, ConnectionBuilder, Heartbeat, HttpVersion, Limits, Overflow, QueueLimits,
    Reconnect, Verdict,
};
use netcomm::{Env, Error, ErrorKind, Policy, Result, Tap, Timeouts};

use crate::args::{Way, Ws, WsBounds};
use crate::watch::Watch;
use crate::{client, request};

/// How long it is tried to come back, unless the options say.
const RETRY_MAX_TIME: Duration = Duration::from_secs(300);
/// How long the server may take to answer a goodbye: somebody waits for a prompt.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// Prepares the connection.
///
/// # Errors
///
/// Kind `Invalid` for options that mean nothing, `Io` for files that cannot be read.
pub(super) async fn builder(args: &Ws) -> Result<ConnectionBuilder> {
    let tap = if args.talk.verbose { Tap::new(Watch::new()) } else { Tap::off() };
    let env = Env::new(client::dialer(&args.way, tap.clone()).await?, SystemClock)
        .with_policy(policy(&args.bounds))
        .with_tap(tap);
    let mut headers = request::headers(&args.terms.headers).await?;
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("netcomm/", env!("CARGO_PKG_VERSION"))));
    if let Some(token) = &args.terms.bearer {
        let token = format!("Bearer {}", token.read().await?.expose());
        let token = HeaderValue::try_from(token).map_err(|error| {
            Error::new(ErrorKind::Invalid, "read options").with_detail("not a bearer token").with_source(error)
        })?;
        headers.insert(AUTHORIZATION, token);
    }
    let limits = limits(&args.bounds);
    let builder = Connection::builder(&env, &args.url).connect(|connect| {
        let mut connect = connect
            .headers(headers)
            .subprotocols(&args.terms.subprotocols)
            .http_version(http_version(&args.way))
            .close_timeout(CLOSE_TIMEOUT)
            .limits(limits);
        if args.terms.no_compress {
            connect = connect.deflate(None);
        }
        if let Some(interval) = args.bounds.ping {
            connect = connect.heartbeat(Heartbeat::default().interval(interval));
        }
        match &args.way.unix_socket {
            Some(path) => connect.unix_socket(path),
            None => connect,
        }
    });
    let queue = QueueLimits::default();
    let queue = queue.with_bytes(queue.bytes.max(most(&args.bounds))).with_overflow(Overflow::Wait);
    Ok(builder.queue(queue).reconnect(reconnect(&args.bounds)))
}

/// Bytes of a message at most.
pub(super) fn most(bounds: &WsBounds) -> usize {
    limits(bounds).message_bytes
}

fn limits(bounds: &WsBounds) -> Limits {
    let limits = Limits::default();
    let most = bounds.max_message.unwrap_or(limits.message_bytes);
    limits.with_message_bytes(most).with_frame_bytes(limits.frame_bytes.max(most as u64))
}

fn policy(bounds: &WsBounds) -> Policy {
    let private = match bounds.deny_private {
        true => PrivateAddresses::Deny,
        false => PrivateAddresses::Allow,
    };
    let mut timeouts = Timeouts::default();
    if let Some(connect) = bounds.connect_timeout {
        timeouts = timeouts.with_connect(connect);
    }
    Policy::default().with_timeouts(timeouts).with_private_addresses(private)
}

fn http_version(way: &Way) -> HttpVersion {
    if way.http2 { HttpVersion::Two } else { HttpVersion::One }
}

fn reconnect(bounds: &WsBounds) -> Reconnect {
    if bounds.no_reconnect {
        return Reconnect::never();
    }
    Reconnect::default()
        .max_elapsed(bounds.retry_max_time.unwrap_or(RETRY_MAX_TIME))
        .classify(|error| closed(error).is_some_and(is_farewell).then_some(Verdict::Fatal))
}

fn closed(error: &Error) -> Option<&Closed> {
    error.source().and_then(|source| source.downcast_ref())
}

/// Whether a server has said that all is done: whoever rotates connections has other codes for that.
pub(super) fn is_farewell(closed: &Closed) -> bool {
    closed.by == Closer::Peer && closed.code == CloseCode::NORMAL
}
