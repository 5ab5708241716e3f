//! Arbitrary bytes as the response to a batch: each call has one outcome, whatever was answered to the others, and an
//! answer is a part of the response.
//!
//! Input: a byte that chooses the codec, one that tells how many calls there were, the body of the response.
#![no_main]

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::response::Parts;
use http::{HeaderValue, Method, Response};
use libfuzzer_sys::fuzz_target;
use netcomm_core::Result;
use netcomm_http::batch::{Answers, Codec, Json, JsonArray, JsonRpc, MultipartMixed};

fuzz_target!(|data: &[u8]| {
    let [codec, calls, body @ ..] = data else { return };
    let calls = usize::from(*calls % 8) + 1;
    let body = Bytes::copy_from_slice(body);
    match codec % 4 {
        0 => json(JsonArray::new().decode(&calls, &head("application/json"), body.clone()), calls, &body),
        1 => {
            // The last one is a notification.
            let sent = (1..calls as u64).map(Some).chain([None]).collect();
            json(JsonRpc::new().decode(&sent, &head("application/json"), body.clone()), calls, &body);
        }
        kind => {
            let methods = [Method::GET, Method::HEAD, Method::POST];
            let sent = (1..=calls as u64).zip(methods.into_iter().cycle()).collect();
            let head = head(if kind == 2 { "multipart/mixed; boundary=b" } else { "multipart/mixed; boundary=\"--\"" });
            let answers = MultipartMixed::new().decode(&sent, &head, body.clone());
            for response in outcomes(answers, calls) {
                assert!(response.headers().len() <= 100 && !response.status().is_informational());
                assert!(is_part(response.body(), &body), "bytes that nobody sent");
            }
        }
    }
});

fn head(content_type: &'static str) -> Parts {
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.into_parts().0
}

fn outcomes<T>(answers: Result<Answers<T>>, calls: usize) -> Vec<T> {
    let Ok(answers) = answers else { return Vec::new() };
    let all: Vec<_> = answers.into_results().collect();
    assert_eq!(all.len(), calls);
    all.into_iter().flatten().collect()
}

fn json(answers: Result<Answers<Json>>, calls: usize, body: &Bytes) {
    for json in outcomes(answers, calls) {
        assert!(json.as_bytes() == b"null" || is_part(json.as_bytes(), body), "bytes that nobody sent");
        assert!(std::str::from_utf8(json.as_bytes()).is_ok());
    }
}

/// Whether it is a view of the whole, not only the same bytes.
fn is_part(part: &[u8], whole: &Bytes) -> bool {
    part.is_empty() || whole.as_ptr_range().contains(&part.as_ptr()) && part.len() <= whole.len()
}
