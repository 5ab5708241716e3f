//! The source that the options describe.

use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method};
use netcomm::core::PrivateAddresses;
use netcomm::dial::SystemClock;
use netcomm::http::Client;
use netcomm::sse::{ContentType, EventStream, Limits, Oversize, Reconnect, Select};
use netcomm::{Env, Error, ErrorKind, Policy, Result, Tap, Timeouts};

use super::id_file::IdFile;
use crate::args::{Sse, SseBounds};
use crate::watch::Watch;
use crate::{client, request};

/// How long it is tried to come back, unless the options say.
const RETRY_MAX_TIME: Duration = Duration::from_secs(300);

/// Prepares the source.
///
/// # Errors
///
/// Kind `Invalid` for options that mean nothing, `Io` for files that cannot be read.
pub(super) async fn stream(args: &Sse) -> Result<EventStream> {
    let tap = if args.show.verbose { Tap::new(Watch::new()) } else { Tap::off() };
    let env = Env::new(client::dialer(&args.way, tap.clone()).await?, SystemClock)
        .with_policy(policy(&args.bounds))
        .with_tap(tap);
    let mut http = Client::builder(&env).http2(client::http2(&args.way));
    if let Some(path) = &args.way.unix_socket {
        http = http.unix_socket(path);
    }
    let mut headers = request::headers(&args.ask.headers).await?;
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(concat!("netcomm/", env!("CARGO_PKG_VERSION"))));
    if let Some(token) = &args.ask.bearer {
        let token = format!("Bearer {}", token.read().await?.expose());
        let token = HeaderValue::try_from(token).map_err(|error| {
            Error::new(ErrorKind::Invalid, "read options").with_detail("not a bearer token").with_source(error)
        })?;
        headers.insert(AUTHORIZATION, token);
    }
    let mut source = EventStream::builder(&env, &args.url).transport(http.build()?);
    if let Some(data) = &args.ask.post {
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        source = source.method(Method::POST).body(request::body(data)?);
    } else {
        source = source.reconnect(reconnect(&args.bounds));
    }
    source = source.headers(headers).limits(limits(&args.bounds)).comments(args.show.comments);
    source = source.types(args.show.types.iter().map(|wanted| select(wanted)));
    if args.bounds.any_content_type {
        source = source.content_type(ContentType::Any);
    }
    if let Some(idle) = args.bounds.idle {
        source = source.idle_timeout(idle);
    }
    if let Some(done) = &args.show.done_when {
        source = source.done_when(done.as_str());
    }
    if let Some(id) = &args.ask.last_event_id {
        source = source.last_event_id(id.as_str());
    }
    if let Some(file) = &args.ask.id_file {
        source = source.keep_id(IdFile(file.clone()));
    }
    source.stream()
}

fn select(wanted: &str) -> Select {
    match wanted.strip_suffix('*') {
        Some(prefix) => Select::prefix(prefix),
        None => Select::exact(wanted),
    }
}

fn limits(bounds: &SseBounds) -> Limits {
    let limits = Limits::default().with_oversize(Oversize::Skip);
    match bounds.max_event {
        // A field's name stands before its value.
        Some(bytes) => limits.with_event_bytes(bytes).with_line_bytes(bytes.saturating_add(64)),
        None => limits,
    }
}

fn policy(bounds: &SseBounds) -> Policy {
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

fn reconnect(bounds: &SseBounds) -> Reconnect {
    if bounds.no_reconnect {
        return Reconnect::never();
    }
    Reconnect::default().max_elapsed(bounds.retry_max_time.unwrap_or(RETRY_MAX_TIME))
}
