//! What is sent, and what is made of answers of every kind.

use super::*;

fn get(uri: &str) -> Request<Bytes> {
    Request::get(uri).body(Bytes::new()).expect("a request")
}

fn head(content_type: &'static str) -> Parts {
    let response = Response::builder().header(CONTENT_TYPE, content_type).body(());
    response.expect("a response").into_parts().0
}

fn sent(ids: &[u64]) -> Vec<(u64, Method)> {
    ids.iter().map(|id| (*id, Method::GET)).collect()
}

type Outcome = Result<(u16, String), (ErrorKind, String)>;

fn outcomes(codec: &MultipartMixed, sent: &Vec<(u64, Method)>, body: &str) -> Vec<Outcome> {
    let answers = codec.decode(sent, &head("multipart/mixed; boundary=b"), Bytes::copy_from_slice(body.as_bytes()));
    let told = |error: Error| (error.kind(), error.detail().unwrap_or_default().to_owned());
    let text =
        |response: Response<Bytes>| (response.status().as_u16(), String::from_utf8_lossy(response.body()).into_owned());
    answers.expect("a multipart").into_results().map(|answer| answer.map(text).map_err(told)).collect()
}

fn ok(status: u16, body: &str) -> Outcome {
    Ok((status, body.to_owned()))
}

fn fail(kind: ErrorKind, detail: &str) -> Outcome {
    Err((kind, detail.to_owned()))
}

#[test]
fn bytes_on_the_wire() {
    let codec = MultipartMixed::new();
    let put = Request::put("https://user@a.example:81/y")
        .header("content-type", "text/plain")
        .header("content-length", "99")
        .body(Bytes::from_static(b"body"))
        .expect("a request");
    let calls = vec![get("/x?y=z"), put, get("https://a.example")];
    let estimate: usize = calls.iter().map(|call| codec.size(call).expect("a size")).sum();
    let encoded = codec.encode(calls).expect("a batch");
    let content_type = encoded.headers[CONTENT_TYPE].to_str().expect("text").to_owned();
    let boundary = content_type.strip_prefix("multipart/mixed; boundary=").expect("a boundary");
    let expected = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <1@netcomm>\r\n\r\n\
        GET /x?y=z HTTP/1.1\r\n\r\n\r\n\
        --b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <2@netcomm>\r\n\r\n\
        PUT /y HTTP/1.1\r\nHost: a.example:81\r\ncontent-type: text/plain\r\nContent-Length: 4\r\n\r\nbody\r\n\
        --b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <3@netcomm>\r\n\r\n\
        GET / HTTP/1.1\r\nHost: a.example\r\n\r\n\r\n\
        --b--\r\n";
    assert_eq!(String::from_utf8_lossy(&encoded.body), expected.replace("--b", &format!("--{boundary}")));
    assert!((encoded.body.len()..encoded.body.len() + 400).contains(&estimate), "{estimate}");
    assert_eq!(encoded.sent, [(1, Method::GET), (2, Method::PUT), (3, Method::GET)]);
    // Numbers are never used twice.
    let bare = MultipartMixed::new().content_ids(ContentIds::Bare);
    for expected in ["\r\nContent-ID: 1\r\n", "\r\nContent-ID: 2\r\n"] {
        let encoded = bare.encode(vec![get("/")]).expect("a batch");
        assert!(String::from_utf8_lossy(&encoded.body).contains(expected));
    }
    let absent = MultipartMixed::new().content_ids(ContentIds::Absent).encode(vec![get("/")]).expect("a batch");
    assert!(!String::from_utf8_lossy(&absent.body).contains("Content-ID"));
}

#[test]
fn what_is_no_part() {
    let codec = MultipartMixed::new();
    let chunked = Request::post("/x").header("transfer-encoding", "chunked").body(Bytes::new()).expect("a request");
    let tunnel = Request::connect("a.example:1").body(Bytes::new()).expect("a request");
    for call in [chunked, tunnel] {
        assert_eq!(codec.size(&call).expect_err("refused").kind(), ErrorKind::Invalid);
    }
}

#[test]
fn an_answer_as_google_writes_it() {
    let body = "--b\r\nContent-Type: application/http\r\nContent-ID: <response-8@netcomm>\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\nETag: \"e\"\r\n\r\n{\r\n}\n\r\n\
        --b\r\nContent-Type: application/http\r\nContent-ID: <response-7@netcomm>\r\n\r\n\
        HTTP/1.1 304 Not Modified\r\nETag: \"f\"\r\n\r\n\r\n--b--";
    assert_eq!(outcomes(&MultipartMixed::new(), &sent(&[7, 8]), body), [ok(304, ""), ok(200, "{\r\n}\n")]);
}

#[test]
fn an_answer_as_odata_writes_it() {
    let body = "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n\
        HTTP/1.1 200 Ok\r\nContent-Type: text/plain\r\n\r\nfirst\r\n\
        --b\r\nContent-Type: application/http; msgtype=response\r\ncontent-transfer-encoding: BINARY\r\n\r\n\
        HTTP/1.1 404 Not Found\r\n\r\n--b--\r\n";
    let calls = sent(&[7, 8, 9]);
    // It stopped at the error.
    let missing = fail(ErrorKind::Protocol, "no answer to call 3 of 3");
    assert_eq!(outcomes(&MultipartMixed::new(), &calls, body), [ok(200, "first"), ok(404, ""), missing]);
}

/// A part with this id, and whatever follows its own fields.
fn part(id: &str, rest: &str) -> String {
    format!("--b\r\nContent-Type: application/http\r\nContent-ID: {id}\r\n\r\n{rest}\r\n")
}

const PLAIN: &str = "HTTP/1.1 200 OK\r\n\r\nok";

#[test]
fn ids_come_back_in_the_form_in_which_they_went() {
    let codec = |ids| MultipartMixed::new().content_ids(ids);
    let (bracketed, bare) = (codec(ContentIds::Bracketed), codec(ContentIds::Bare));
    for (codec, id, is_known) in [
        (&bracketed, "<7@netcomm>", true),
        (&bracketed, "<response-7@netcomm>", true),
        (&bracketed, "\t7@netcomm ", true),
        (&bracketed, "\r\n <7@netcomm>", true),
        (&bracketed, "7", false),
        (&bracketed, "<7>", false),
        (&bracketed, "7@other", false),
        (&bracketed, "<+7@netcomm>", false),
        (&bracketed, "<@netcomm>", false),
        (&bracketed, "", false),
        (&bare, "7", true),
        (&bare, "<7>", true),
        (&bare, "response-7", true),
        (&bare, "<7@netcomm>", false),
        (&bare, "-7", false),
        (&bare, "99999999999999999999", false),
    ] {
        let body = format!("{}{}--b--", part("x", PLAIN), part(id, "HTTP/1.1 201 X\r\n\r\nmine"));
        // What is no id leaves the order.
        let expected = if is_known { ok(201, "mine") } else { ok(200, "ok") };
        assert_eq!(outcomes(codec, &sent(&[7]), &body), [expected], "{id:?}");
    }
    let inner = "--b\r\n\r\nHTTP/1.1 200 OK\r\nContent-ID: 8\r\n\r\nx\r\n--b\r\n\r\nHTTP/1.1 200 OK\r\nContent-ID: 7\r\n\r\ny\r\n--b--";
    assert_eq!(outcomes(&bare, &sent(&[7, 8]), inner), [ok(200, "y"), ok(200, "x")]);
}

#[test]
fn foreign_missing_and_repeated_ids_harm_nobody_else() {
    let codec = MultipartMixed::new().content_ids(ContentIds::Bare);
    let calls = sent(&[7, 8, 9]);
    let no = |call| fail(ErrorKind::Protocol, &format!("no answer to call {call} of 3"));
    let twice = |call| fail(ErrorKind::Protocol, &format!("more than one answer to call {call} of 3"));
    for (ids, expected) in [
        (&["9", "7", "8"][..], [ok(200, "1"), ok(200, "2"), ok(200, "0")]),
        (&["8"], [no(1), ok(200, "0"), no(3)]),
        (&["4", "8", "x"], [no(1), ok(200, "1"), no(3)]),
        (&["8", "8", "9"], [no(1), twice(2), ok(200, "2")]),
        (&["x", "y", "z"], [ok(200, "0"), ok(200, "1"), ok(200, "2")]),
        (&["x", "y", "z", "u"], [ok(200, "0"), ok(200, "1"), ok(200, "2")]),
        (&[], [no(1), no(2), no(3)]),
    ] {
        let parts = ids.iter().enumerate().map(|(at, id)| part(id, &format!("HTTP/1.1 200 OK\r\n\r\n{at}")));
        assert_eq!(outcomes(&codec, &calls, &format!("{}--b--", parts.collect::<String>())), expected, "{ids:?}");
    }
    let by_order = MultipartMixed::new().content_ids(ContentIds::Absent);
    let body = format!("{}{}--b--", part("8", "HTTP/1.1 200 OK\r\n\r\nfirst"), part("7", PLAIN));
    assert_eq!(outcomes(&by_order, &sent(&[7, 8]), &body), [ok(200, "first"), ok(200, "ok")]);
}

#[test]
fn what_is_wrong_with_one_part_is_its_callers_alone() {
    use ErrorKind::{Incomplete, Protocol, TooLarge, Unsupported};
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(101));
    let most = format!("HTTP/1.1 200 OK\r\n{}\r\nok", "a: b\r\n".repeat(100));
    let long = format!("HTTP/1.1 200 OK\r\na: {}\r\n\r\n", "b".repeat(64 * 1024));
    let cases: &[(&str, Outcome)] = &[
        (PLAIN, ok(200, "ok")),
        ("HTTP/1.1 200 OK\n\nok", ok(200, "ok")),
        ("HTTP/1.0 200\r\n\r\nok", ok(200, "ok")),
        ("HTTP/1.1 999 ?\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok", ok(999, "ok")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok\r\n\r\n", ok(200, "ok")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ok(200, "")),
        // The empty line is shared with the delimiter.
        ("HTTP/1.1 200 OK\r\na: b\r\n", ok(200, "")),
        ("HTTP/1.1 204 No Content\r\ncontent-length: 9\r\n\r\n", ok(204, "")),
        (&most, ok(200, "ok")),
        ("", fail(Protocol, "a response whose head does not end")),
        ("HTTP/1.1 200 OK", fail(Protocol, "a response whose head does not end")),
        ("HTTP/1.1 200 OK\r\na: b", fail(Protocol, "a response whose head does not end")),
        ("{\"a\": 1}\r\n", fail(Protocol, "a part that is no HTTP response")),
        ("GET / HTTP/1.1\r\n\r\n", fail(Protocol, "a part that is no HTTP response")),
        ("HTTP/2 200\r\n\r\n", fail(Protocol, "a part that is no HTTP response")),
        ("HTTP/1.1 20x OK\r\n\r\n", fail(Protocol, "a part that is no HTTP response")),
        ("HTTP/1.1 200 OK\r\na b: c\r\n\r\n", fail(Protocol, "a part that is no HTTP response")),
        ("HTTP/1.1 099 OK\r\n\r\n", fail(Protocol, "a response whose status is none")),
        ("HTTP/1.1 100 Continue\r\n\r\n", fail(Protocol, "a response whose status is none")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok", fail(Incomplete, "2 of 3 bytes")),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nok", fail(Protocol, "a response that is longer than it says")),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\nok", fail(Protocol, "a response whose length is none")),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
            fail(Protocol, "a response whose length is none"),
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            fail(Protocol, "a response whose length is none"),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            fail(Protocol, "a response with a transfer coding in a part"),
        ),
        (&many, fail(TooLarge, "a response with too many fields")),
        (&long, fail(TooLarge, "a response whose head is too long")),
    ];
    let codec = MultipartMixed::new();
    for (message, expected) in cases {
        let body = format!("{}{}--b--", part("7", message), part("8", PLAIN));
        assert_eq!(outcomes(&codec, &sent(&[7, 8]), &body), [expected.clone(), ok(200, "ok")], "{message:?}");
    }
    let fields = "x: y\r\n".repeat(40);
    for (own, expected) in [
        ("", ok(200, "ok")),
        ("nonsense\r\n", ok(200, "ok")),
        ("Content-Type: application/json\r\n", fail(Protocol, "a part of another type than application/http")),
        (
            "Content-Type: multipart/mixed; boundary=c\r\n",
            fail(Protocol, "a part of another type than application/http"),
        ),
        (
            "Content-Transfer-Encoding: base64\r\n",
            fail(Unsupported, "a part with a transfer encoding other than binary"),
        ),
        (&fields, fail(TooLarge, "a part with too many fields of its own")),
    ] {
        let body = format!("--b\r\n{own}\r\n{PLAIN}\r\n--b\r\n\r\n{PLAIN}\r\n--b--");
        assert_eq!(outcomes(&codec, &sent(&[7, 8]), &body), [expected, ok(200, "ok")], "{own:?}");
    }
    let body = "--b\r\nno end\r\n--b\r\n\r\nHTTP/1.1 200 OK\r\n\r\nok\r\n--b--";
    let endless = fail(Protocol, "a part whose own fields do not end");
    assert_eq!(outcomes(&codec, &sent(&[7, 8]), body), [endless, ok(200, "ok")]);
}

#[test]
fn an_answer_to_head_has_no_body() {
    let body = format!("{}--b--", part("7", "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"));
    assert_eq!(outcomes(&MultipartMixed::new(), &vec![(7, Method::HEAD)], &body), [ok(200, "")]);
}

#[test]
fn a_response_that_breaks_off_answers_whom_it_can() {
    let cut = fail(ErrorKind::Incomplete, "the last delimiter is missing");
    for end in ["", "--b", "--b-", "-"] {
        let body = format!("{}{}{end}", part("7", PLAIN), part("8", PLAIN));
        let outcomes = outcomes(&MultipartMixed::new(), &sent(&[7, 8]), &body);
        let expected = if end == "--b" { ok(200, "ok") } else { cut.clone() };
        assert_eq!(outcomes, [ok(200, "ok"), expected], "{end:?}");
    }
}

#[test]
fn what_is_no_answer_to_a_batch() {
    for content_type in ["application/json", "multipart/mixed", "multipart/mixed; boundary=\"", ""] {
        let body = Bytes::from(format!("{}--b--", part("7", PLAIN)));
        let error = MultipartMixed::new().decode(&sent(&[7]), &head(content_type), body).expect_err(content_type);
        assert_eq!(error.kind(), ErrorKind::Protocol);
    }
    // Of another boundary there is no part.
    let body = part("7", PLAIN).replace("--b", "--c");
    let missing = fail(ErrorKind::Protocol, "no answer to call 1 of 1");
    assert_eq!(outcomes(&MultipartMixed::new(), &sent(&[7]), &body), [missing]);
}
