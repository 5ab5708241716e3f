//! One try, in the order in which it happens: prepare, send, look at the answer.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use netcomm_core::{
    AnyTransport, Attempt, Body, CallId, Clock, Error, ErrorKind, HttpTransport, Phase, Refused, Result, Sleep, Verdict,
};

use crate::content_type::ContentType;
use crate::prepare::AnyPrepare;
use crate::request::{OPERATION, Request, Resume};
use crate::status::{OnStatus, StatusPolicy};

/// As much of a refusal's body as is kept.
const BODY_BYTES: usize = 64 * 1024;

/// How long is waited for it.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// What an answer has to be like, and how long it may take.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) status: StatusPolicy,
    pub(crate) content_type: ContentType,
    pub(crate) timeout: Duration,
}

/// A try that is about to be made.
pub(crate) struct Try {
    pub(crate) request: Request,
    pub(crate) prepare: Option<AnyPrepare>,
    pub(crate) attempt: Attempt,
    pub(crate) last_event_id: String,
    pub(crate) transport: AnyTransport,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) terms: Terms,
}

/// What a try came to.
pub(crate) enum Outcome {
    Open { body: Body, status: StatusCode, headers: HeaderMap, resume: Resume, call: CallId },
    Stop,
}

/// A try that came to nothing, and what the policy says of another one, where it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) says: Option<OnStatus>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, says: None }
    }
}

impl Failure {
    /// What it says of another try; `can_refresh`: whether somebody prepares requests.
    pub(crate) fn verdict(&self, by_kind: Verdict, wait: Option<Duration>, can_refresh: bool) -> Verdict {
        match (self.says, wait) {
            (None, _) => by_kind,
            (Some(OnStatus::Retry), Some(wait)) if !wait.is_zero() => Verdict::RetryAfter(wait),
            (Some(OnStatus::Retry), _) => Verdict::Retry,
            (Some(OnStatus::RefreshCredentials), _) if can_refresh => Verdict::RefreshCredentials,
            (Some(_), _) => Verdict::Fatal,
        }
    }
}

impl Try {
    pub(crate) async fn run(self) -> Result<Outcome, Failure> {
        let Self { mut request, prepare, attempt, last_event_id, transport, clock, terms } = self;
        let ask = async {
            if let Some(prepare) = prepare {
                request = prepare.prepare(request, attempt).await?;
            }
            let (request, resume) = request.into_http(&last_event_id)?;
            let url = request.uri().to_string();
            Ok::<_, Error>((url, resume, transport.send(request).await?))
        };
        let too_late = || Err(Error::timeout(OPERATION, Phase::Wait));
        let (url, resume, answer) = within(patience(&*clock, terms.timeout), ask).await.unwrap_or_else(too_late)?;
        let (parts, body) = answer.into_parts();
        let says = terms.status.on(parts.status, &parts.headers);
        if says == OnStatus::Stop {
            return Ok(Outcome::Stop);
        }
        if says == OnStatus::Open && terms.content_type.accepts(&parts.headers) {
            let call = parts.extensions.get().copied().unwrap_or_default();
            return Ok(Outcome::Open { body, status: parts.status, headers: parts.headers, resume, call });
        }
        let body = beginning(body, &*clock).await;
        let leads_nowhere = parts.status.is_redirection() && !parts.headers.contains_key(LOCATION);
        let content_type = content_type(&parts.headers);
        let refused = Refused::new(parts.status, parts.headers, body);
        if says == OnStatus::Open {
            let error = Error::new(ErrorKind::Protocol, OPERATION)
                .with_status(parts.status)
                .with_detail(format!("{content_type}, not text/event-stream"))
                .with_url(&url)
                .with_source(refused);
            return Err(Failure { error, says: Some(OnStatus::Fatal) });
        }
        let mut error = refused.into_error(OPERATION, clock.now(), || clock.wall()).with_url(&url);
        if leads_nowhere {
            error = error.with_detail("a redirect that leads nowhere");
        }
        Err(Failure { error, says: Some(says) })
    }
}

fn content_type(headers: &HeaderMap) -> String {
    match headers.get_all(http::header::CONTENT_TYPE).iter().next_back() {
        Some(value) => format!("the content is {:?}", String::from_utf8_lossy(value.as_bytes())),
        None => "the answer does not say what its content is".to_owned(),
    }
}

/// A wait of that length, or of a year.
pub(crate) fn patience(clock: &dyn Clock, wait: Duration) -> Sleep {
    const FAR: Duration = Duration::from_secs(365 * 24 * 3600);
    let now = clock.now();
    clock.sleep_until(now.checked_add(wait).unwrap_or_else(|| now + FAR))
}

/// What comes of it in time.
pub(crate) async fn within<T>(mut patience: Sleep, made: impl Future<Output = T>) -> Option<T> {
    let mut made = pin!(made);
    poll_fn(|cx| match made.as_mut().poll(cx) {
        Poll::Ready(made) => Poll::Ready(Some(made)),
        Poll::Pending => patience.as_mut().poll(cx).map(|()| None),
    })
    .await
}

/// The beginning of a refusal's body, as far as it comes soon.
pub(crate) async fn beginning(mut body: Body, clock: &dyn Clock) -> Bytes {
    let mut came = Vec::new();
    // What came until the end, a fault, or too late.
    let _in_time = within(patience(clock, BODY_PATIENCE), async {
        while came.len() < BODY_BYTES
            && let Ok(Some(chunk)) = body.chunk().await
        {
            came.extend_from_slice(&chunk[..chunk.len().min(BODY_BYTES - came.len())]);
        }
    })
    .await;
    came.into()
}
