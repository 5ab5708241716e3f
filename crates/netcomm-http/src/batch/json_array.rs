//! A batch as a JSON array, answered by one, item by item.

use bytes::Bytes;
use http::HeaderValue;
use http::header::ACCEPT;
use http::response::Parts;
use netcomm_core::{Error, ErrorKind, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::batcher::Batcher;
use super::codec::{Answers, Codec, Encoded};
use super::json::{Json, unreadable};

/// A JSON array of items, answered by an array of as many, in the same order. A batch of one is an array too.
///
/// The place in the array is all that tells which answer is whose. If there are too few, those at the end are taken to
/// be missing, as from a server that stopped half-way: their callers get an error of kind
/// [`ErrorKind::Protocol`]. Items beyond are ignored. For a server that may leave out others, see
/// [`exact`](Self::exact).
///
/// # Examples
///
/// ```no_run
/// # async fn example(client: netcomm_http::Client) -> netcomm_core::Result<()> {
/// use netcomm_http::batch::{Batcher, JsonArray};
///
/// let names = Batcher::builder(&client, "https://api.example.com/names", JsonArray::new()).build()?;
/// let name: String = names.ask(&42).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct JsonArray {
    exact: bool,
}

impl JsonArray {
    /// With the default settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an array of another length than the batch's answers nobody. Default `false`.
    #[must_use]
    pub fn exact(mut self, exact: bool) -> Self {
        self.exact = exact;
        self
    }
}

impl Codec for JsonArray {
    type Call = Json;
    type Answer = Json;
    type Sent = usize;

    fn size(&self, call: &Json) -> Result<usize> {
        Ok(call.as_bytes().len() + 1)
    }

    fn encode(&self, calls: Vec<Json>) -> Result<Encoded<usize>> {
        let mut body = Vec::with_capacity(2 + calls.iter().map(|call| call.as_bytes().len() + 1).sum::<usize>());
        write_array(&mut body, calls.iter(), |body, call| body.extend_from_slice(call.as_bytes()));
        let json = HeaderValue::from_static("application/json");
        Ok(Encoded::new(json.clone(), body, calls.len()).with_header(ACCEPT, json))
    }

    fn decode(&self, sent: &usize, _head: &Parts, body: Bytes) -> Result<Answers<Json>> {
        let items: Vec<&RawValue> = serde_json::from_slice(&body).map_err(unreadable)?;
        let (calls, count) = (*sent, items.len());
        let other_length =
            || Error::new(ErrorKind::Protocol, "read batch").with_detail(format!("{count} answers to {calls} calls"));
        if self.exact && count != calls {
            return Err(other_length());
        }
        let mut answers = Answers::new(calls);
        for (position, item) in items.into_iter().enumerate().take(calls) {
            answers.give(position, Ok(Json::part(&body, item)));
        }
        answers.fail_missing(|_| other_length());
        Ok(answers)
    }
}

impl Batcher<JsonArray> {
    /// Hands in an item and reads its answer.
    ///
    /// # Errors
    ///
    /// As [`call`](Self::call); `Invalid` if the item cannot be written as JSON, `Decode` if the answer is no `R`.
    ///
    /// # Cancel safety
    ///
    /// As [`call`](Self::call).
    pub async fn ask<R: DeserializeOwned>(&self, item: &(impl Serialize + Sync + ?Sized)) -> Result<R> {
        let item = Json::new(item)?;
        self.call(item).await?.to()
    }
}

/// Writes items between brackets, with commas between.
pub(super) fn write_array<T>(body: &mut Vec<u8>, items: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    let mut before = b'[';
    for item in items {
        body.push(before);
        write(body, item);
        before = b',';
    }
    body.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(codec: &JsonArray, calls: usize, body: &'static str) -> Result<Vec<Result<String, ErrorKind>>> {
        let (head, ()) = http::Response::new(()).into_parts();
        let answers = codec.decode(&calls, &head, Bytes::from_static(body.as_bytes()))?;
        let text = |json: Json| String::from_utf8_lossy(json.as_bytes()).into_owned();
        Ok(answers.into_results().map(|answer| answer.map(text).map_err(|error| error.kind())).collect())
    }

    #[test]
    fn items_in_their_order() {
        let calls = vec![Json::new(&1).expect("json"), Json::new("a,b").expect("json"), Json::null()];
        let estimate: usize = calls.iter().map(|call| JsonArray::new().size(call).expect("a size")).sum();
        let encoded = JsonArray::new().encode(calls).expect("a batch");
        assert_eq!(encoded.body, r#"[1,"a,b",null]"#);
        assert_eq!(encoded.sent, 3);
        assert_eq!(estimate + 1, encoded.body.len());
        assert_eq!(JsonArray::new().encode(vec![Json::null()]).expect("a batch").body, "[null]");
    }

    #[test]
    fn answers_by_position() {
        let ok = |text: &str| Ok(text.to_owned());
        let missing = || Err(ErrorKind::Protocol);
        for (body, expected) in [
            (r#"[1,{"a":[2]}, "x"]"#, vec![ok("1"), ok(r#"{"a":[2]}"#), ok("\"x\"")]),
            (" [ 1 , null\n, [] ] ", vec![ok("1"), ok("null"), ok("[]")]),
            ("[1,2]", vec![ok("1"), ok("2"), missing()]),
            ("[]", vec![missing(), missing(), missing()]),
            ("[1,2,3,4]", vec![ok("1"), ok("2"), ok("3")]),
        ] {
            assert_eq!(decode(&JsonArray::new(), 3, body).expect(body), expected, "{body}");
        }
    }

    #[test]
    fn what_is_no_answer_to_a_batch() {
        for body in [
            "",
            "[1,2,3",
            "[1,2,3,]",
            "{}",
            "{\"0\":1}",
            "null",
            "1",
            "[1,2,3]x",
            "[1,2,nul]",
            "\u{feff}[1,2,3]",
            "<html>",
        ] {
            assert_eq!(decode(&JsonArray::new(), 3, body).expect_err(body).kind(), ErrorKind::Decode, "{body}");
        }
        let exact = JsonArray::new().exact(true);
        for body in ["[1,2]", "[1,2,3,4]"] {
            assert_eq!(decode(&exact, 3, body).expect_err(body).kind(), ErrorKind::Protocol, "{body}");
        }
        assert_eq!(decode(&exact, 1, "[7]").expect("one"), [Ok("7".to_owned())]);
    }
}
