//! What observers that ask for contents are told: heads as the wire has them, bodies as they go and as they are read. For
//! all others each of these is one question to the tap.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, CallId, Clock, Error, Event, Interest, Observation, Result, Tap};

use super::Call;
use crate::conn::OnPiece;

impl Call<'_> {
    pub(super) fn tells_content(&self) -> bool {
        self.client.tap().wants(Interest::CONTENT)
    }

    /// Tells of the head of a request. `uri` is the whole one, which the wire may have in parts.
    #[cold]
    pub(super) fn tell_request<B>(&self, uri: &Uri, request: &http::Request<B>, length: Option<u64>) {
        self.emit(Interest::CONTENT, || {
            let mut headers = request.headers().clone();
            frame_of(&mut headers, request.version(), length);
            Event::RequestHead {
                number: self.timing.attempt,
                method: request.method().clone(),
                url: without_user(uri),
                version: request.version(),
                headers,
            }
        });
    }

    /// Who is told of the pieces of a request's body.
    #[cold]
    pub(super) fn on_piece(&self) -> OnPiece {
        let (teller, number) = (self.teller(), self.timing.attempt);
        Box::new(move |data| teller.tell(|| Event::RequestBody { number, data: data.clone() }))
    }

    /// The same for a request that a transport of the user's takes as a whole.
    #[cold]
    pub(super) fn tell_foreign(&self, request: http::Request<Body>) -> http::Request<Body> {
        self.tell_request(request.uri(), &request, request.body().len());
        let (parts, body) = request.into_parts();
        let number = self.timing.attempt;
        let body = self.teller().attach(body, move |data| Event::RequestBody { number, data });
        http::Request::from_parts(parts, body)
    }

    /// Tells of the head of a response as it came.
    #[inline]
    pub(super) fn tell_head(&self, answer: &http::Response<Body>) {
        self.emit(Interest::CONTENT, || Event::ResponseHead {
            number: self.timing.attempt,
            status: answer.status(),
            version: answer.version(),
            headers: answer.headers().clone(),
        });
    }

    /// Tells of the head of an answer that came over no connection of this call's.
    #[inline]
    pub(super) fn tell_stored_head(&self, status: StatusCode, headers: impl FnOnce() -> HeaderMap) {
        self.emit(Interest::CONTENT, || Event::ResponseHead {
            number: 0,
            status,
            version: Version::default(),
            headers: headers(),
        });
    }

    /// The body of the answer, which tells what is read of it. One that is there is told at once.
    #[inline]
    pub(super) fn tell_body(&self, body: &mut Body) {
        if self.is_whole() && self.tells_content() {
            *body = self.teller().attach(std::mem::take(body), |data| Event::ResponseBody { data });
        }
    }

    fn teller(&self) -> Teller {
        let client = self.client;
        Teller {
            tap: client.tap().clone(),
            clock: Arc::clone(client.clock()),
            call: self.id,
            scope: client.scope.name().cloned(),
        }
    }
}

/// What the engine adds where nobody has said it: how the end of the content is known (RFC 9112 §6).
fn frame_of(headers: &mut HeaderMap, version: Version, length: Option<u64>) {
    if headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING) {
        return;
    }
    match length {
        Some(0) => {}
        Some(length) => drop(headers.insert(CONTENT_LENGTH, HeaderValue::from(length))),
        None if version == Version::HTTP_2 => {}
        None => drop(headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"))),
    }
}

/// An interceptor may have put user information where none is sent.
fn without_user(uri: &Uri) -> String {
    let text = uri.to_string();
    let Some(authority) = uri.authority().map(http::uri::Authority::as_str) else { return text };
    match authority.rfind('@') {
        Some(at) => text.replacen(authority, &authority[at + 1..], 1),
        None => text,
    }
}

/// Tells of what happens in a call after its future has gone.
struct Teller {
    tap: Tap,
    clock: Arc<dyn Clock>,
    call: CallId,
    scope: Option<Arc<str>>,
}

impl Teller {
    fn tell(&self, event: impl FnOnce() -> Event) {
        self.tap.emit(Interest::CONTENT, || {
            Observation::new(self.clock.now(), event()).with_call(self.call, self.scope.clone())
        });
    }

    /// Tells of what lies in memory now, and of a stream as it is read: what it was made of stays what it is.
    fn attach(self, body: Body, event: impl Fn(Bytes) -> Event + Send + Unpin + 'static) -> Body {
        match body.as_bytes() {
            Some(bytes) if bytes.is_empty() => body,
            Some(bytes) => {
                self.tell(|| event(bytes.clone()));
                body
            }
            None => Body::boxed(Box::pin(Told { body, teller: self, event })),
        }
    }
}

/// A body that tells of its pieces.
struct Told<F> {
    body: Body,
    teller: Teller,
    event: F,
}

impl<F: Fn(Bytes) -> Event + Unpin> HttpBody for Told<F> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref().filter(|data| !data.is_empty())
        {
            this.teller.tell(|| (this.event)(data.clone()));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_user_information_is_told() {
        for (uri, expected) in [
            ("http://u:p@a.example/x?y=z@w", "http://a.example/x?y=z@w"),
            ("http://a.example/@x", "http://a.example/@x"),
            ("/x", "/x"),
        ] {
            assert_eq!(without_user(&uri.parse().expect(uri)), expected);
        }
    }
}
