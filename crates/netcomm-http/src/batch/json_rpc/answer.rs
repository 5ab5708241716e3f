//! What a server answers: one object or several, each with its id.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use bytes::Bytes;
use netcomm_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::batch::json::{Json, unreadable};

/// The objects of a response.
pub(super) struct Items<'a> {
    pub(super) items: Vec<&'a RawValue>,
    pub(super) is_array: bool,
}

/// Takes a response apart. None at all is the answer to notifications.
pub(super) fn items(body: &[u8]) -> Result<Items<'_>> {
    let first = body.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    let items = match first {
        None => Vec::new(),
        Some(b'[') => serde_json::from_slice(body).map_err(unreadable)?,
        Some(b'{') => vec![serde_json::from_slice(body).map_err(unreadable)?],
        Some(_) => {
            let error = Error::new(ErrorKind::Decode, "read batch");
            return Err(error.with_detail("the response is neither an array nor an object"));
        }
    };
    Ok(Items { items, is_array: first != Some(&b'{') })
}

/// An object of a response (§5), of which nothing is believed yet.
#[derive(Deserialize)]
pub(super) struct Incoming<'a> {
    #[serde(default, borrow, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

/// A member that is there, also if it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Incoming<'a> {
    /// `None` for what is no object, or has a member twice.
    pub(super) fn read(item: &'a RawValue) -> Option<Self> {
        // Serde would take an array for a struct too.
        item.get().starts_with('{').then(|| serde_json::from_str(item.get()).ok()).flatten()
    }

    /// The id, if it is one that could be ours. As JSON has but one kind of number, `1.0` is 1.
    pub(super) fn id(&self) -> Option<u64> {
        let text = self.id?.get();
        let whole = text.parse().ok();
        let fraction = || {
            let number: f64 = text.parse().ok()?;
            let is_exact = (0.0..9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0;
            is_exact.then_some(number as u64)
        };
        whole.or_else(fraction)
    }

    /// What its caller gets.
    pub(super) fn outcome(&self, body: &Bytes) -> Result<Json> {
        let wrong = |what: &'static str| Err(Error::new(ErrorKind::Protocol, "read batch").with_detail(what));
        let result = self.result.filter(|result| self.error.is_none() || result.get() != "null");
        match (result, self.fault()) {
            (Some(result), None) => Ok(Json::part(body, result)),
            (None, Some(error)) => match read_fault(body, error) {
                Some(error) => Err(error.into_error()),
                None => wrong("an error without a code and a message"),
            },
            (Some(_), Some(_)) => wrong("an answer with both a result and an error"),
            // With both members null, it was a result.
            (None, None) if self.result.is_some() => Ok(Json::null()),
            (None, None) => wrong("an answer with neither a result nor an error"),
        }
    }

    /// The error, if it is one.
    pub(super) fn error(&self, body: &Bytes) -> Option<RpcError> {
        read_fault(body, self.fault()?)
    }

    fn fault(&self) -> Option<&'a RawValue> {
        self.error.filter(|error| error.get() != "null")
    }
}

/// An error object (§5.1).
fn read_fault(body: &Bytes, raw: &RawValue) -> Option<RpcError> {
    #[derive(Deserialize)]
    struct Fault<'a> {
        code: i64,
        #[serde(borrow)]
        message: Cow<'a, str>,
        #[serde(default, borrow, deserialize_with = "present")]
        data: Option<&'a RawValue>,
    }
    let fault: Fault<'_> = raw.get().starts_with('{').then(|| serde_json::from_str(raw.get()).ok()).flatten()?;
    let data = fault.data.map(|data| Json::part(body, data));
    Some(RpcError { code: fault.code, message: fault.message.into_owned(), data })
}

/// The error that a JSON-RPC server answered with: the source of its caller's [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    code: i64,
    message: String,
    data: Option<Json>,
}

impl RpcError {
    /// What the server said, if that is what the error is about.
    #[must_use]
    pub fn of(error: &Error) -> Option<&Self> {
        error.source()?.downcast_ref()
    }

    /// The code: -32768 to -32000 are the protocol's own, such as -32601 for a method that does not exist.
    #[must_use]
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The message, as the server wrote it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What else the server told.
    #[must_use]
    pub fn data(&self) -> Option<&Json> {
        self.data.as_ref()
    }

    pub(super) fn into_error(self) -> Error {
        let detail = format!("the server answered with error {}", self.code);
        Error::new(ErrorKind::Status, "json-rpc").with_detail(detail).with_source(self)
    }
}

impl fmt::Display for RpcError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl StdError for RpcError {}
