//! Bodies on their way: into the store while they are read, and out of it.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use netcomm_core::{Body, Error, Result};

use crate::cache::blob::Blob;
use crate::cache::entry::{Entry, Segment};
use crate::cache::few::Few;
use crate::cache::handle::Cache;
use crate::cache::key::Key;
use crate::cache::memory::Memory;
use crate::cache::store::WriteBlob;
use crate::cache::{combining, validation};

/// A response that is to be stored, while its body is on its way.
pub(crate) struct Begun {
    /// Without its body. It lies where it will lie from the beginning: it is large.
    pub(crate) entry: Arc<Entry>,
    /// The offset of the first byte that will come.
    pub(crate) start: u64,
    /// Where the bytes should end, if a `Content-Range` says so.
    pub(crate) end: Option<u64>,
    /// Whether the response has its whole body already: a copy that lies behind its head.
    pub(crate) is_ended: bool,
}

impl Begun {
    /// Gives the response the body that came; `whole`: to its end. Whether that is something to be stored.
    fn end(&mut self, blob: Blob, whole: bool) -> bool {
        let (start, end) = (self.start, self.end);
        let mut length = self.entry.parts().length;
        let came = start + blob.len();
        if whole {
            match end {
                None => length = Some(came),
                Some(end) if end == came => {}
                // The part ends otherwise than it said. Where it was said to be the last one, the whole ends with it;
                // its length is another one then, so that it is never put together with other parts.
                Some(end) if length == Some(end) => length = Some(came),
                Some(_) => return false,
            }
        } else if blob.is_empty() || end.is_some_and(|end| came > end) {
            return false;
        }
        let segments = if blob.is_empty() { Few::default() } else { Few::one(Segment::whole(start, blob)) };
        self.entry.end(length, segments)
    }

    /// Whether a body that breaks off is worth keeping: its rest can be asked for (RFC 9111 §3.3).
    fn keeps_parts(&self) -> bool {
        validation::strong_validator(self.entry.headers()).is_some() && self.entry.parts().length.is_some()
    }
}

/// The same with its place in the store.
pub(crate) struct Stored {
    pub(crate) cache: Cache,
    pub(crate) key: Key,
    pub(crate) begun: Begun,
}

impl Stored {
    /// Finishes the body and stores the response with it. `whole`: the body came to its end.
    async fn commit(mut self, mut writer: Box<dyn WriteBlob>, whole: bool) {
        let Some(blob) = poll_fn(|cx| writer.poll_finish(cx)).await else { return self.give_up().await };
        if self.begun.end(blob, whole) {
            self.cache.put(&self.key, self.begun.entry).await;
        }
    }

    /// There is no room: what the response would have replaced goes all the same.
    async fn give_up(self) {
        if self.begun.end.is_none() {
            let entry = self.begun.entry;
            self.cache.drop_selected(&self.key, entry.parts().selecting.clone(), entry.ticket()).await;
        }
    }
}

/// Stores a response whose body is there, in memory: without a stream, and without waiting. Whether there was room.
pub(crate) fn keep_at_once(cache: &Cache, store: &Memory, key: Key, mut begun: Begun, body: &Bytes) -> bool {
    let blob = match begun.is_ended {
        true => store.has_room(body.len() as u64).then_some(None),
        false => store.blob(body).map(Some),
    };
    let Some(blob) = blob else {
        // What the response would have replaced goes all the same.
        if begun.end.is_none() {
            let (selecting, ticket) = (&begun.entry.parts().selecting, begun.entry.ticket());
            store.reduce(&key, |variants| combining::without_selected(variants, selecting, ticket));
        }
        return false;
    };
    if blob.is_none_or(|blob| begun.end(blob, true)) {
        cache.put_at_once(store, Cow::Owned(key), begun.entry);
    }
    true
}

/// The body, stored as it is read. `None` in its place if the store has no room for it.
pub(crate) async fn keep(stored: Stored, body: Body) -> (Body, bool) {
    let length = body.len();
    let Some(mut writer) = stored.cache.write(length) else {
        stored.give_up().await;
        return (body, false);
    };
    if let Some(bytes) = body.as_bytes() {
        // It is there already: the next call finds it stored.
        if !bytes.is_empty() {
            if !poll_fn(|cx| writer.poll_ready(cx)).await {
                stored.give_up().await;
                return (body, false);
            }
            writer.write(bytes.clone());
        }
        stored.commit(writer, true).await;
        return (body, true);
    }
    let keeps_parts = stored.begun.keeps_parts();
    let tee = Tee { source: body, keeps_parts, state: State::Reading { writer, stored } };
    (Body::boxed(Box::pin(tee)), true)
}

/// A body that goes into the store while it is read.
struct Tee {
    source: Body,
    keeps_parts: bool,
    state: State,
}

enum State {
    Reading {
        writer: Box<dyn WriteBlob>,
        stored: Stored,
    },
    /// The last bytes are given out once the next call would find the response.
    Storing {
        commit: Pin<Box<dyn Future<Output = ()> + Send>>,
        last: Option<Frame<Bytes>>,
    },
    Done,
}

impl Tee {
    /// Ends the reading: what has come is stored.
    fn commit(&mut self, whole: bool, last: Option<Frame<Bytes>>) {
        if let State::Reading { writer, stored } = std::mem::replace(&mut self.state, State::Done) {
            self.state = State::Storing { commit: Box::pin(stored.commit(writer, whole)), last };
        }
    }

    /// Goes on without the store.
    fn give_up(&mut self) {
        if let State::Reading { stored, .. } = std::mem::replace(&mut self.state, State::Done) {
            self.state = State::Storing { commit: Box::pin(stored.give_up()), last: None };
        }
    }

    /// Stores the part that has come of a body that breaks off.
    fn keep_part(&mut self) {
        if !self.keeps_parts || !matches!(self.state, State::Reading { .. }) {
            self.state = State::Done;
            return;
        }
        self.commit(false, None);
        let State::Storing { mut commit, .. } = std::mem::replace(&mut self.state, State::Done) else { return };
        // A store in memory is done at once; for another one somebody must wait.
        if commit.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            drop(runtime.spawn(commit));
        }
    }
}

impl HttpBody for Tee {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        loop {
            match &mut this.state {
                State::Done => return Pin::new(&mut this.source).poll_frame(cx),
                State::Storing { commit, last } => {
                    ready!(commit.as_mut().poll(cx));
                    let last = last.take();
                    this.state = State::Done;
                    if let Some(frame) = last {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
                State::Reading { writer, .. } => {
                    if !ready!(writer.poll_ready(cx)) {
                        this.give_up();
                        continue;
                    }
                    match ready!(Pin::new(&mut this.source).poll_frame(cx)) {
                        None => this.commit(true, None),
                        Some(Err(error)) => {
                            this.keep_part();
                            return Poll::Ready(Some(Err(error)));
                        }
                        Some(Ok(frame)) => {
                            if let Some(data) = frame.data_ref() {
                                writer.write(data.clone());
                            }
                            if !this.source.is_end_stream() {
                                return Poll::Ready(Some(Ok(frame)));
                            }
                            this.commit(true, Some(frame));
                        }
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Done) && self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.state {
            State::Storing { last: Some(frame), .. } => {
                SizeHint::with_exact(frame.data_ref().map_or(0, |data| data.len() as u64))
            }
            _ => self.source.size_hint(),
        }
    }
}

impl Drop for Tee {
    fn drop(&mut self) {
        self.keep_part();
    }
}

/// The body that segments make up, if it lies in memory and in one piece.
pub(crate) fn body_in_memory(segments: &[Segment]) -> Option<Bytes> {
    match segments {
        [] => Some(Bytes::new()),
        [only] => only.blob.slice(&only.part),
        _ => None,
    }
}

/// The body that segments make up. The first one is opened now, so that a store that has lost it says so before the
/// head is given out.
pub(crate) async fn body_of(segments: Vec<Segment>) -> Result<Body> {
    let length = segments.iter().map(Segment::bytes).sum();
    let mut segments = segments.into_iter();
    let Some(first) = segments.next() else { return Ok(Body::empty()) };
    let first = first.blob.open(first.part.clone()).await?;
    match segments.len() {
        0 => Ok(first),
        _ => Ok(chained(first, None, segments.collect(), length)),
    }
}

/// Bodies one after the other, of that length in all: one that is open, perhaps another one, and stored segments.
pub(crate) fn chained(first: Body, second: Option<Body>, rest: Vec<Segment>, length: u64) -> Body {
    Body::boxed(Box::pin(Chain { current: Current::Reading(first), second, rest: rest.into_iter(), left: length }))
}

struct Chain {
    current: Current,
    second: Option<Body>,
    rest: std::vec::IntoIter<Segment>,
    left: u64,
}

enum Current {
    Reading(Body),
    Opening(Pin<Box<dyn Future<Output = Result<Body>> + Send>>),
}

impl HttpBody for Chain {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        loop {
            match &mut this.current {
                Current::Opening(opening) => this.current = Current::Reading(ready!(opening.as_mut().poll(cx))?),
                Current::Reading(body) => match ready!(Pin::new(body).poll_frame(cx)) {
                    Some(frame) => {
                        if let Some(data) = frame.as_ref().ok().and_then(Frame::data_ref) {
                            this.left = this.left.saturating_sub(data.len() as u64);
                        }
                        return Poll::Ready(Some(frame));
                    }
                    None => {
                        if let Some(second) = this.second.take() {
                            this.current = Current::Reading(second);
                        } else if let Some(Segment { part, blob, .. }) = this.rest.next() {
                            this.current = Current::Opening(Box::pin(async move { blob.open(part).await }));
                        } else {
                            return Poll::Ready(None);
                        }
                    }
                },
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.current, Current::Reading(body) if body.is_end_stream())
            && self.second.is_none()
            && self.rest.as_slice().is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::{StatusCode, Uri};

    use super::*;
    use crate::cache::entry::{EntryParts, Selecting};
    use crate::cache::fields::Fields;
    use crate::cache::store::Store;

    fn segment(start: u64, text: &'static str) -> Segment {
        Segment::whole(start, Blob::memory(Bytes::from_static(text.as_bytes())))
    }

    fn begun() -> Begun {
        let at = SystemTime::UNIX_EPOCH;
        let parts = EntryParts {
            status: StatusCode::OK,
            headers: Fields::default(),
            selecting: Selecting::default(),
            requested_at: at,
            received_at: at,
            ttl: None,
            length: None,
            segments: Few::default(),
        };
        Begun { entry: Entry::answering(parts, 1), start: 0, end: None, is_ended: false }
    }

    #[tokio::test]
    async fn a_body_that_is_there_is_stored_only_where_bodies_under_way_leave_room() {
        const MOST: u64 = 100_000;
        let store = Memory::new(MOST);
        let cache = Cache::builder().store(store.clone()).build();
        let key = Key::new("", &Uri::from_static("http://a.example/"));
        let keep = |bytes: usize| keep_at_once(&cache, &store, key.clone(), begun(), &vec![0; bytes].into());
        assert!(keep(10_000));
        assert_eq!(store.get(&key).expect("an entry")[0].body_bytes(), 10_000);
        let mut under_way: Vec<_> = (0..4).map(|_| store.write(None).expect("room")).collect();
        for writer in &mut under_way {
            writer.write(vec![0; 24_000].into());
        }
        assert!(!keep(10_000));
        assert!(store.get(&key).is_none(), "what it would have replaced goes all the same");
        drop(under_way);
        assert!(keep(10_000));
        assert!(!keep(30_000), "more than a body may take");
        assert!(store.get(&key).is_none());
    }

    #[test]
    fn a_response_that_has_its_body_is_kept_as_it_is() {
        let store = Memory::new(100_000);
        let cache = Cache::builder().store(store.clone()).build();
        let key = Key::from_text("\nhttp://a.example/").expect("a key");
        let (came, copy) = (Bytes::from_static(b"body"), Bytes::from(b"body".to_vec()));
        let mut begun = begun();
        assert!(begun.end(Blob::memory(copy.clone()), true));
        begun.is_ended = true;
        assert!(keep_at_once(&cache, &store, key.clone(), begun, &came));
        let variants = store.get(&key).expect("just stored");
        let kept = variants[0].parts().segments[0].blob.as_bytes().map(|bytes| bytes.as_ptr());
        assert_eq!((kept, variants[0].is_complete()), (Some(copy.as_ptr()), true));
    }

    #[tokio::test]
    async fn segments_make_a_body() {
        for (segments, expected) in [
            (vec![], ""),
            (vec![segment(0, "abc")], "abc"),
            (vec![segment(0, "abc"), segment(3, "de"), segment(5, "f")], "abcdef"),
        ] {
            let body = body_of(segments).await.expect("bytes in memory");
            assert_eq!(body.len(), Some(expected.len() as u64));
            assert_eq!(body.collect(100).await.expect("bytes in memory"), expected);
        }
        let tail = vec![segment(4, "ef"), segment(6, "g")];
        let body = chained("ab".to_owned().into(), Some("cd".to_owned().into()), tail, 7);
        assert_eq!(body.len(), Some(7));
        assert_eq!(body.collect(100).await.expect("bytes in memory"), "abcdefg");
    }
}
