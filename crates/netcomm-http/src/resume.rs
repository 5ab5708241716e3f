//! A download that goes on after a break.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, ETAG, IF_RANGE, LAST_MODIFIED, RANGE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, Error, ErrorKind, Event, Interest, Observation, Result};

use crate::address::Address;
use crate::client::Client;
use crate::receive::EndReport;
use crate::request::{Continued, Options, Request};

/// Lets the body of a response go on after a break, if it can be asked for in parts.
pub(crate) fn attach(
    mut rest: Rest,
    method: &Method,
    times: u32,
    response: &mut http::Response<Body>,
    report: &mut Option<Arc<EndReport>>,
) {
    let whole = *method == Method::GET && response.status() == StatusCode::OK && !rest.headers.contains_key(RANGE);
    let Some(validator) = validator(response.headers()).filter(|_| whole && response.body().as_bytes().is_none())
    else {
        return;
    };
    let body = std::mem::take(response.body_mut());
    rest.headers.insert(IF_RANGE, validator.clone());
    // The part must be one of the same representation: with the coding of the first response, or with none.
    let coding = response.headers().get(CONTENT_ENCODING).cloned();
    rest.headers.insert(ACCEPT_ENCODING, coding.clone().unwrap_or(HeaderValue::from_static("identity")));
    rest.same = Same { validator, coding };
    rest.options.continues = Some(rest.part_of);
    rest.options.resume = Some(0);
    rest.options.decode = Some(false);
    // The first body reports for itself; what comes after a break is reported from here, with what came before.
    let progress = rest.options.download.take();
    let download = Download {
        total: body.len(),
        max_bytes: rest.max_bytes,
        rest,
        progress,
        state: State::Reading(body),
        got: 0,
        left: times,
        resumed: false,
        // The body tells of the end of the call in place of its first part.
        report: report.take(),
    };
    *response.body_mut() = Body::boxed(Box::pin(download));
}

/// What makes sure that a part is one of the same representation: a strong entity tag, else a modification date
/// (RFC 9110 §13.1.5).
fn validator(headers: &HeaderMap) -> Option<HeaderValue> {
    let strong = headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\""));
    strong.or_else(|| headers.get(LAST_MODIFIED)).cloned()
}

struct Download {
    rest: Rest,
    progress: Option<crate::progress::OnProgress>,
    state: State,
    total: Option<u64>,
    got: u64,
    left: u32,
    resumed: bool,
    max_bytes: u64,
    report: Option<Arc<EndReport>>,
}

enum State {
    Reading(Body),
    Asking { cause: Option<Error>, asking: Pin<Box<dyn Future<Output = Result<Option<Body>>> + Send>> },
    Ended,
}

/// How the rest is asked for.
#[derive(Clone)]
pub(crate) struct Rest {
    pub(crate) client: Client,
    pub(crate) part_of: Continued,
    pub(crate) options: Options,
    pub(crate) address: Address,
    pub(crate) headers: HeaderMap,
    /// The most bytes that the body may have, all parts together.
    pub(crate) max_bytes: u64,
    pub(crate) same: Same,
    /// The end of the time that the whole call has.
    pub(crate) deadline: Option<Instant>,
}

/// What a part must have in common with the first response.
#[derive(Clone)]
pub(crate) struct Same {
    validator: HeaderValue,
    coding: Option<HeaderValue>,
}

impl Default for Same {
    fn default() -> Self {
        Self { validator: HeaderValue::from_static(""), coding: None }
    }
}

impl Same {
    /// Whether a part is one of the same representation (RFC 9110 §15.3.7.3).
    fn holds(&self, part: &HeaderMap) -> bool {
        let name = if self.validator.as_bytes().starts_with(b"\"") { ETAG } else { LAST_MODIFIED };
        part.get(name).is_none_or(|validator| *validator == self.validator)
            && part.get(CONTENT_ENCODING) == self.coding.as_ref()
    }
}

impl Rest {
    /// The body from `offset` on; `None` if it cannot be had any more.
    async fn ask(self, offset: u64, total: Option<u64>) -> Result<Option<Body>> {
        let Self { client, part_of, mut options, address, mut headers, deadline, same, .. } = self;
        if let Some(deadline) = deadline {
            let left = deadline.saturating_duration_since(client.clock().now());
            let timeouts = options.timeouts.take().map_or_else(|| client.timeouts().clone(), |own| *own);
            options.timeouts = Some(Box::new(timeouts.with_total(Some(left))));
        }
        client.tap().emit(Interest::CALL, || {
            Observation::new(client.clock().now(), Event::Resumed { offset })
                .with_call(part_of.call, client.scope().name().cloned())
        });
        let range = HeaderValue::try_from(format!("bytes={offset}-"))
            .map_err(|error| Error::new(ErrorKind::Invalid, "resume download").with_source(error))?;
        headers.insert(RANGE, range);
        let request = Request { method: Method::GET, address, headers, body: Body::empty(), options };
        let response = client.execute(request).await?;
        let fits = response.status() == StatusCode::PARTIAL_CONTENT
            && same.holds(response.headers())
            && response.headers().get(CONTENT_RANGE).is_some_and(|range| starts_at(range, offset, total));
        Ok(fits.then(|| response.into_body()))
    }
}

/// Whether a `Content-Range` (RFC 9110 §14.4) begins at `offset` and speaks of as many bytes in all.
fn starts_at(range: &HeaderValue, offset: u64, total: Option<u64>) -> bool {
    let Some((first, complete)) = range
        .to_str()
        .ok()
        .and_then(|range| range.strip_prefix("bytes "))
        .and_then(|range| range.split_once('-'))
        .and_then(|(first, rest)| Some((first, rest.split_once('/')?.1)))
    else {
        return false;
    };
    let same_total = match (complete.parse::<u64>(), total) {
        (Ok(complete), Some(total)) => complete == total,
        (Ok(_), None) => true,
        (Err(_), _) => complete == "*",
    };
    first.parse() == Ok(offset) && same_total
}

impl Download {
    fn end(&mut self, error: Option<Error>) -> Poll<Option<Result<Frame<Bytes>>>> {
        self.state = State::Ended;
        self.tell(error.as_ref().map(Error::kind));
        Poll::Ready(error.map(Err))
    }

    fn tell(&mut self, error: Option<ErrorKind>) {
        if let Some(report) = self.report.take() {
            report.send(self.got, error);
        }
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        self.tell(Some(ErrorKind::Canceled));
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Ended => return Poll::Ready(None),
                State::Reading(body) => match std::task::ready!(Pin::new(body).poll_frame(cx)) {
                    Some(Ok(frame)) => {
                        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
                        this.got += bytes;
                        if this.got > this.max_bytes {
                            return this.end(Some(
                                Error::new(ErrorKind::TooLarge, "read body")
                                    .with_detail(format!("more than {} bytes (limit body_bytes)", this.max_bytes)),
                            ));
                        }
                        if let Some(progress) = this.progress.as_ref().filter(|_| this.resumed) {
                            progress.report(this.got, this.total);
                        }
                        return Poll::Ready(Some(Ok(frame)));
                    }
                    Some(Err(error)) if this.left > 0 && breaks_off(&error) => {
                        this.left -= 1;
                        let asking = Box::pin(this.rest.clone().ask(this.got, this.total));
                        this.state = State::Asking { cause: Some(error), asking };
                    }
                    None => return this.end(None),
                    Some(Err(error)) => return this.end(Some(error)),
                },
                State::Asking { cause, asking } => {
                    let outcome = std::task::ready!(asking.as_mut().poll(cx));
                    let cause = cause.take();
                    match outcome {
                        Ok(Some(body)) => {
                            this.resumed = true;
                            this.state = State::Reading(body);
                        }
                        Err(error) if this.left > 0 && error.is_retryable() => {
                            this.left -= 1;
                            let asking = Box::pin(this.rest.clone().ask(this.got, this.total));
                            this.state = State::Asking { cause, asking };
                        }
                        Ok(None) | Err(_) => {
                            return this.end(cause);
                        }
                    }
                }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.total.map_or_else(SizeHint::default, |total| SizeHint::with_exact(total.saturating_sub(self.got)))
    }
}

/// Whether a body ended in a way that another connection may mend.
fn breaks_off(error: &Error) -> bool {
    error.is_closed() || (error.is_timeout() && error.phase() == Some(netcomm_core::Phase::Receive))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        for (range, offset, total, expected) in [
            ("bytes 5-9/10", 5, Some(10), true),
            ("bytes 5-9/*", 5, Some(10), true),
            ("bytes 5-9/10", 5, None, true),
            ("bytes 5-9/11", 5, Some(10), false),
            ("bytes 4-9/10", 5, Some(10), false),
            ("bytes */10", 5, Some(10), false),
            ("items 5-9/10", 5, Some(10), false),
            ("bytes 5-9", 5, Some(10), false),
        ] {
            assert_eq!(starts_at(&HeaderValue::from_static(range), offset, total), expected, "{range}");
        }
    }

    #[test]
    fn only_strong_tags_and_dates_validate() {
        let mut headers = HeaderMap::new();
        assert!(validator(&headers).is_none());
        headers.insert(ETAG, HeaderValue::from_static("W/\"x\""));
        assert!(validator(&headers).is_none());
        headers.insert(LAST_MODIFIED, HeaderValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(validator(&headers).expect("date"), "Sun, 06 Nov 1994 08:49:37 GMT");
        headers.insert(ETAG, HeaderValue::from_static("\"x\""));
        assert_eq!(validator(&headers).expect("tag"), "\"x\"");
    }
}
