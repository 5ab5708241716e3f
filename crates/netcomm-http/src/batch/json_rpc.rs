//! JSON-RPC 2.0 over HTTP: batches, answered in any order.

mod answer;
mod call;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::HeaderValue;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::response::Parts;
use netcomm_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::answer::{Incoming, Items, items};
use super::batcher::Batcher;
use super::codec::{Answers, Codec, Encoded};
use super::json::Json;
use super::json_array::write_array;

pub use self::answer::RpcError;
pub use self::call::RpcCall;

/// JSON-RPC 2.0. Ids are numbers of the codec's own, never used twice; answers are matched by them, in any order.
///
/// - A batch of one call is sent as a single object, which servers that know no batches understand too; see
///   [`always_array`](Self::always_array). An answer may be an array or a single object in either case.
/// - An error object is an error of kind [`ErrorKind::Status`] for its caller, whose source is an [`RpcError`].
/// - An answer with an id that was not asked for, or without one, is told to nobody, nor does it harm anybody. An error
///   without an id (the server did not understand a part of the batch) is the source of the errors of those calls that
///   got no answer. If it is all of the response, every caller gets it.
/// - A response of another status than 2xx is read too if its type is JSON, since many servers use it for errors.
///
/// The member `jsonrpc` of answers is not looked at, and `"error": null` beside a result is none: it is the id that
/// tells.
///
/// # Examples
///
/// ```no_run
/// # async fn example(client: netcomm_http::Client) -> netcomm_core::Result<()> {
/// use netcomm_http::batch::{Batcher, JsonRpc, RpcError};
///
/// let node = Batcher::builder(&client, "https://node.example.com/", JsonRpc::new()).build()?;
/// match node.request::<u64>("count", &["blocks"]).await {
///     Ok(count) => println!("{count}"),
///     Err(error) => match RpcError::of(&error) {
///         Some(said) => println!("{}: {}", said.code(), said.message()),
///         None => return Err(error),
///     },
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonRpc {
    next_id: AtomicU64,
    always_array: bool,
}

impl JsonRpc {
    /// With the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self { next_id: AtomicU64::new(1), always_array: false }
    }

    /// Whether a batch of one call is an array too. Default `false`.
    #[must_use]
    pub fn always_array(mut self, always: bool) -> Self {
        self.always_array = always;
        self
    }
}

impl Default for JsonRpc {
    fn default() -> Self {
        Self::new()
    }
}

impl Codec for JsonRpc {
    type Call = RpcCall;
    /// The result; `null` for a notification.
    type Answer = Json;
    /// The id of each call; `None` for a notification.
    type Sent = Vec<Option<u64>>;

    fn size(&self, call: &RpcCall) -> Result<usize> {
        Ok(call.encoded_bytes())
    }

    fn encode(&self, calls: Vec<RpcCall>) -> Result<Encoded<Self::Sent>> {
        let first = self.next_id.fetch_add(calls.len() as u64, Ordering::Relaxed);
        let ids = |(call, id): (&RpcCall, u64)| (!call.is_notification()).then_some(id);
        let sent: Vec<_> = calls.iter().zip(first..).map(ids).collect();
        let mut body = Vec::with_capacity(2 + calls.iter().map(RpcCall::encoded_bytes).sum::<usize>());
        match &*calls {
            [call] if !self.always_array => call.write(sent[0], &mut body),
            calls => write_array(&mut body, calls.iter().zip(&sent), |body, (call, id)| call.write(*id, body)),
        }
        let json = HeaderValue::from_static("application/json");
        Ok(Encoded::new(json.clone(), body, sent).with_header(ACCEPT, json))
    }

    fn reads(&self, head: &Parts) -> bool {
        let content_type = head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        head.status.is_success() || is_json(content_type)
    }

    fn decode(&self, sent: &Self::Sent, head: &Parts, body: Bytes) -> Result<Answers<Json>> {
        let mut answers = Answers::new(sent.len());
        let mut positions = HashMap::with_capacity(sent.len());
        for (position, id) in sent.iter().enumerate() {
            match id {
                Some(id) => drop(positions.insert(*id, position)),
                // Nothing is said about a notification (§4.1), so this is all that can be known.
                None if head.status.is_success() => answers.give(position, Ok(Json::null())),
                None => {}
            }
        }
        let Items { items, is_array } = items(&body)?;
        let (mut unread, mut unaddressed) = (0, None);
        for item in items {
            let Some(incoming) = Incoming::read(item) else {
                unread += 1;
                continue;
            };
            match incoming.id().and_then(|id| positions.get(&id)) {
                Some(position) => answers.give(*position, incoming.outcome(&body)),
                None => unaddressed = unaddressed.or_else(|| incoming.error(&body)),
            }
        }
        if let Some(error) = &unaddressed
            && !is_array
        {
            return Err(error.clone().into_error());
        }
        let kind = if head.status.is_success() { ErrorKind::Protocol } else { ErrorKind::Status };
        answers.fail_missing(|position| {
            let also = if unread > 0 { format!("; {unread} could not be read") } else { String::new() };
            let error = Error::new(kind, "read batch").with_detail(match sent.get(position).copied().flatten() {
                Some(id) => format!("no answer with id {id}{also}"),
                None => "no word of a notification".to_owned(),
            });
            match &unaddressed {
                Some(said) => error.with_source(said.clone()),
                None => error,
            }
        });
        Ok(answers)
    }
}

impl Batcher<JsonRpc> {
    /// Calls a method and reads its result.
    ///
    /// `params` are what is written as an array or an object: a list, a tuple, a map, a struct; `&()` for none.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); [`ErrorKind::Status`] with an [`RpcError`] as its source if the server answers with an
    /// error, `Invalid` if `params` are no array and no object, `Decode` if the result is no `R`.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn request<R: DeserializeOwned>(
        &self,
        method: &str,
        params: &(impl Serialize + Sync + ?Sized),
    ) -> Result<R> {
        let call = RpcCall::request(method, params)?;
        self.call(call).await?.to()
    }

    /// Sends a notification, and waits until its batch was answered: whether it was understood is never said.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); `Invalid` if `params` are no array and no object.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call): it may not be sent, or called off.
    pub async fn notify(&self, method: &str, params: &(impl Serialize + Sync + ?Sized)) -> Result<()> {
        let call = RpcCall::notification(method, params)?;
        self.call(call).await.map(drop)
    }
}

/// Whether a media type is JSON or based on it (RFC 6839 §3.1).
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

#[cfg(test)]
mod tests;
