//! How calls become one request, and its response becomes their answers.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use netcomm_core::{Error, ErrorKind, Result};

/// A format of batches: pure, without I/O.
///
/// # Examples
///
/// Numbers by lines, answered by lines in the same order:
///
/// ```
/// use bytes::Bytes;
/// use http::HeaderValue;
/// use http::response::Parts;
/// use netcomm_core::{Error, ErrorKind, Result};
/// use netcomm_http::batch::{Answers, Codec, Encoded};
///
/// struct Lines;
///
/// impl Codec for Lines {
///     type Call = u32;
///     type Answer = u32;
///     type Sent = usize;
///
///     fn size(&self, _call: &u32) -> Result<usize> {
///         Ok(11)
///     }
///
///     fn encode(&self, calls: Vec<u32>) -> Result<Encoded<usize>> {
///         let body: String = calls.iter().map(|call| format!("{call}\n")).collect();
///         Ok(Encoded::new(HeaderValue::from_static("text/plain"), body, calls.len()))
///     }
///
///     fn decode(&self, sent: &usize, _head: &Parts, body: Bytes) -> Result<Answers<u32>> {
///         let mut answers = Answers::new(*sent);
///         for (at, line) in String::from_utf8_lossy(&body).lines().enumerate() {
///             answers.give(at, line.parse().map_err(|_| Error::new(ErrorKind::Decode, "read line")));
///         }
///         Ok(answers)
///     }
/// }
/// ```
pub trait Codec: Send + Sync + 'static {
    /// What a caller hands in.
    type Call: Send + 'static;
    /// What a caller gets.
    type Answer: Send + 'static;
    /// What must be known of a batch to read its answer: ids, methods, or just how many calls there were.
    type Sent: Send + 'static;

    /// Looks at a call before it joins a batch, and tells how many bytes it will take there, about.
    ///
    /// # Errors
    ///
    /// For a call that cannot be sent: its caller gets the error, and no batch sees it.
    fn size(&self, call: &Self::Call) -> Result<usize>;

    /// Makes one request of the calls, of which there is at least one, in their order.
    ///
    /// # Errors
    ///
    /// Every caller gets it: what is wrong with a single call is for [`size`](Self::size) to say.
    fn encode(&self, calls: Vec<Self::Call>) -> Result<Encoded<Self::Sent>>;

    /// Whether a response with this head is to be decoded. Default: a status of 2xx. For others every caller gets an
    /// error of kind [`ErrorKind::Status`].
    fn reads(&self, head: &http::response::Parts) -> bool {
        head.status.is_success()
    }

    /// Reads the answers. The body is whole, without content codings, and within the limits of the client.
    ///
    /// # Errors
    ///
    /// If nothing can be made of the response as a whole: every caller gets it. What is wrong with one answer belongs
    /// into its place among the [`Answers`].
    fn decode(&self, sent: &Self::Sent, head: &http::response::Parts, body: Bytes) -> Result<Answers<Self::Answer>>;
}

/// A batch as it is sent.
#[derive(Clone, Debug)]
pub struct Encoded<S> {
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) sent: S,
}

impl<S> Encoded<S> {
    /// A body of that type, and what has to be known to read the response.
    pub fn new(content_type: HeaderValue, body: impl Into<Bytes>, sent: S) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
        Self { headers, body: body.into(), sent }
    }

    /// Adds a header field. It takes the place of those of its name that the batcher was given.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// The answers to the calls of a batch, each in the place of its call. What is never given is an error for its caller
/// alone.
#[derive(Debug)]
pub struct Answers<T> {
    places: Vec<Place<T>>,
}

#[derive(Debug)]
enum Place<T> {
    Empty,
    Given(Result<T>),
    Twice,
}

impl<T> Answers<T> {
    /// No answers yet to so many calls.
    #[must_use]
    pub fn new(calls: usize) -> Self {
        Self { places: std::iter::repeat_with(|| Place::Empty).take(calls).collect() }
    }

    /// The answer to the call at that position, from 0. One for a position that no call has is dropped. Of two answers
    /// to one call neither can be believed: its caller gets an error of kind [`ErrorKind::Protocol`].
    pub fn give(&mut self, position: usize, answer: Result<T>) {
        if let Some(place) = self.places.get_mut(position) {
            *place = match place {
                Place::Empty => Place::Given(answer),
                Place::Given(_) | Place::Twice => Place::Twice,
            };
        }
    }

    /// Gives each call that has no answer an error.
    pub fn fail_missing(&mut self, error: impl Fn(usize) -> Error) {
        for (position, place) in self.places.iter_mut().enumerate() {
            if matches!(place, Place::Empty) {
                *place = Place::Given(Err(error(position)));
            }
        }
    }

    /// As many places as there are calls, whatever the codec believed.
    pub(super) fn sized(mut self, calls: usize) -> Self {
        self.places.resize_with(calls, || Place::Empty);
        self
    }

    /// One outcome for each call, in their order.
    pub fn into_results(self) -> impl Iterator<Item = Result<T>> {
        let calls = self.places.len();
        self.places.into_iter().enumerate().map(move |(position, place)| {
            let wrong = |what: &str| {
                Error::new(ErrorKind::Protocol, "read batch")
                    .with_detail(format!("{what} call {} of {calls}", position + 1))
            };
            match place {
                Place::Given(answer) => answer,
                Place::Empty => Err(wrong("no answer to")),
                Place::Twice => Err(wrong("more than one answer to")),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_has_one_outcome() {
        let mut answers = Answers::new(4);
        answers.give(3, Ok('d'));
        answers.give(0, Ok('a'));
        answers.give(0, Ok('b'));
        answers.give(0, Ok('c'));
        answers.give(4, Ok('x'));
        answers.give(usize::MAX, Ok('x'));
        answers.give(1, Err(Error::new(ErrorKind::Status, "call")));
        let results: Vec<_> = answers.into_results().map(|result| result.map_err(|error| error.to_string())).collect();
        let wrong = |what: &str| Err(format!("read batch: protocol violated by peer: {what} of 4"));
        assert_eq!(
            results,
            [
                wrong("more than one answer to call 1"),
                Err("call: unsuccessful status".to_owned()),
                wrong("no answer to call 3"),
                Ok('d')
            ]
        );
    }

    #[test]
    fn what_is_missing_can_be_told_in_other_words() {
        let mut answers = Answers::new(3);
        answers.give(1, Ok(()));
        answers.fail_missing(|at| Error::new(ErrorKind::Incomplete, "read").with_detail(at.to_string()));
        let details: Vec<_> = answers.into_results().map(|result| result.err()?.detail().map(str::to_owned)).collect();
        assert_eq!(details, [Some("0".to_owned()), None, Some("2".to_owned())]);
    }
}
