//! What is sent, and what is made of answers of every kind.

use super::*;

fn head(status: u16, content_type: &'static str) -> Parts {
    let response = http::Response::builder().status(status).header(CONTENT_TYPE, content_type).body(());
    response.expect("a response").into_parts().0
}

fn calls(methods: &[&str]) -> Vec<RpcCall> {
    methods
        .iter()
        .map(|method| match method.strip_prefix('!') {
            Some(method) => RpcCall::notification(method, &()),
            None => RpcCall::request(method, &[1]),
        })
        .map(|call| call.expect("a call"))
        .collect()
}

type Outcome = Result<String, (ErrorKind, String)>;

fn told(error: &Error) -> (ErrorKind, String) {
    let said = RpcError::of(error).map(|said| format!(" / {} {}", said.code(), said.message()));
    (error.kind(), format!("{}{}", error.detail().unwrap_or_default(), said.unwrap_or_default()))
}

fn decode(sent: &[Option<u64>], body: &'static str) -> Outcomes {
    let head = head(200, "application/json");
    let answers = JsonRpc::new().decode(&sent.to_vec(), &head, Bytes::from_static(body.as_bytes()));
    let text = |json: Json| String::from_utf8_lossy(json.as_bytes()).into_owned();
    answers
        .map(|answers| answers.into_results().map(|answer| answer.map(text).map_err(|error| told(&error))).collect())
        .map_err(|error| told(&error))
}

type Outcomes = Result<Vec<Outcome>, (ErrorKind, String)>;

fn ok(text: &str) -> Outcome {
    Ok(text.to_owned())
}

fn status(text: &str) -> Outcome {
    Err((ErrorKind::Status, text.to_owned()))
}

fn wrong(text: &str) -> Outcome {
    Err((ErrorKind::Protocol, text.to_owned()))
}

#[test]
fn bytes_on_the_wire() {
    let codec = JsonRpc::new();
    let encoded = codec.encode(calls(&["a", "!b", "\"c\""])).expect("a batch");
    assert_eq!(
        encoded.body,
        r#"[{"jsonrpc":"2.0","id":1,"method":"a","params":[1]},{"jsonrpc":"2.0","method":"b"},{"jsonrpc":"2.0","id":3,"method":"\"c\"","params":[1]}]"#
    );
    assert_eq!(encoded.sent, [Some(1), None, Some(3)]);
    // Ids are never used twice, and one call is no array.
    let encoded = codec.encode(calls(&["a"])).expect("a batch");
    assert_eq!(encoded.body, r#"{"jsonrpc":"2.0","id":4,"method":"a","params":[1]}"#);
    let encoded = codec.encode(calls(&["!a"])).expect("a batch");
    assert_eq!(encoded.body, r#"{"jsonrpc":"2.0","method":"a"}"#);
    let encoded = JsonRpc::new().always_array(true).encode(calls(&["!a"])).expect("a batch");
    assert_eq!(encoded.body, r#"[{"jsonrpc":"2.0","method":"a"}]"#);
    for call in calls(&["a", "!b"]) {
        let mut longest = Vec::new();
        call.write(Some(u64::MAX), &mut longest);
        assert_eq!(codec.size(&call).expect("a size"), longest.len() + 1);
        assert!(!format!("{call:?}").contains('['), "{call:?}");
    }
}

#[test]
fn params_are_an_array_an_object_or_nothing() {
    let named = std::collections::BTreeMap::from([("x", 1)]);
    assert!(RpcCall::request("m", &named).is_ok());
    assert!(RpcCall::request("m", &(1, "a")).is_ok());
    assert!(RpcCall::request("m", &None::<u8>).is_ok());
    assert_eq!(RpcCall::request("m", &1).expect_err("a number").kind(), ErrorKind::Invalid);
    assert_eq!(RpcCall::notification("m", "x").expect_err("a text").kind(), ErrorKind::Invalid);
}

#[test]
fn answers_by_id() {
    let two = &[Some(7), Some(8)];
    for (body, expected) in [
        (r#"[{"id":7,"result":1},{"id":8,"result":"b"}]"#, [ok("1"), ok("\"b\"")]),
        (r#" [ {"result":[],"jsonrpc":"2.0","id":8}, {"id":7,"result":null} ] "#, [ok("null"), ok("[]")]),
        (r#"[{"id":7.0,"result":1},{"id":8e0,"result":2}]"#, [ok("1"), ok("2")]),
        (r#"[{"id":7,"result":1,"error":null},{"id":8,"result":null,"error":null}]"#, [ok("1"), ok("null")]),
        (
            r#"[{"id":8,"result":1},{"id":7,"error":{"code":-32601,"message":"no \u006dethod","data":[1]}}]"#,
            [status("the server answered with error -32601 / -32601 no method"), ok("1")],
        ),
        (
            r#"[{"id":7,"result":null,"error":{"code":1,"message":""}},{"id":8,"result":1}]"#,
            [status("the server answered with error 1 / 1 "), ok("1")],
        ),
        // What is wrong with one answer harms no other.
        (r#"[{"id":8,"result":1}]"#, [wrong("no answer with id 7"), ok("1")]),
        (r#"[]"#, [wrong("no answer with id 7"), wrong("no answer with id 8")]),
        ("", [wrong("no answer with id 7"), wrong("no answer with id 8")]),
        (
            r#"[{"id":8,"result":1},{"id":7,"result":1},{"id":7,"result":2}]"#,
            [wrong("more than one answer to call 1 of 2"), ok("1")],
        ),
        (r#"[{"id":8,"result":1},{"id":7}]"#, [wrong("an answer with neither a result nor an error"), ok("1")]),
        (
            r#"[{"id":8,"result":1},{"id":7,"result":1,"error":{"code":1,"message":""}}]"#,
            [wrong("an answer with both a result and an error"), ok("1")],
        ),
        (r#"[{"id":8,"result":1},{"id":7,"error":"bad"}]"#, [wrong("an error without a code and a message"), ok("1")]),
        (
            r#"[{"id":8,"result":1},{"id":7,"error":{"code":"x"}}]"#,
            [wrong("an error without a code and a message"), ok("1")],
        ),
        (
            r#"[{"id":8,"result":1},{"id":7,"error":[1,"x"]}]"#,
            [wrong("an error without a code and a message"), ok("1")],
        ),
        // Ids that are not ours.
        (
            r#"[{"id":"7","result":1},{"id":-7,"result":1},{"id":7.5,"result":1},{"id":9,"result":1},{"id":8,"result":2},{"result":3},{"id":null,"result":4},{"id":[7],"result":4},{"id":1e99,"result":4}]"#,
            [wrong("no answer with id 7"), ok("2")],
        ),
        // What is no answer, or has a member twice.
        (
            r#"[5,null,"x",[7,1,null],{"id":7,"id":7,"result":1},{"id":8,"result":2}]"#,
            [wrong("no answer with id 7; 5 could not be read"), ok("2")],
        ),
        // A part of the batch that the server could not read.
        (
            r#"[{"id":null,"error":{"code":-32600,"message":"too large"}},{"id":8,"result":2}]"#,
            [wrong("no answer with id 7 / -32600 too large"), ok("2")],
        ),
        // One answer alone, without its array.
        (r#"{"id":8,"result":1}"#, [wrong("no answer with id 7"), ok("1")]),
        (
            r#"{"id":8,"error":{"code":1,"message":"x"}}"#,
            [wrong("no answer with id 7"), status("the server answered with error 1 / 1 x")],
        ),
    ] {
        assert_eq!(decode(two, body).expect(body), expected, "{body}");
    }
}

#[test]
fn one_call() {
    for (body, expected) in [
        (r#"{"id":7,"result":1}"#, ok("1")),
        (r#"[{"id":7,"result":1}]"#, ok("1")),
        (r#"{"id":null,"result":1}"#, wrong("no answer with id 7")),
        (r#"{"id":7,"error":{"code":1,"message":"x"}}"#, status("the server answered with error 1 / 1 x")),
    ] {
        assert_eq!(decode(&[Some(7)], body).expect(body), [expected], "{body}");
    }
}

#[test]
fn notifications_get_no_answer_and_need_none() {
    for (body, expected) in [
        ("", vec![ok("null"), ok("null")]),
        ("  \r\n", vec![ok("null"), ok("null")]),
        ("[]", vec![ok("null"), ok("null")]),
        (r#"[{"id":null,"error":{"code":1,"message":"x"}}]"#, vec![ok("null"), ok("null")]),
    ] {
        assert_eq!(decode(&[None, None], body).expect(body), expected, "{body}");
    }
    let mixed = decode(&[None, Some(7)], r#"[{"id":7,"result":1}]"#).expect("answers");
    assert_eq!(mixed, [ok("null"), ok("1")]);
}

#[test]
fn an_error_that_is_all_of_the_response_is_everyones() {
    for body in
        [r#"{"id":null,"error":{"code":-32700,"message":"parse"}}"#, r#"{"error":{"code":-32700,"message":"parse"}}"#]
    {
        let error = decode(&[Some(7), None, Some(8)], body).expect_err(body);
        assert_eq!(error, (ErrorKind::Status, "the server answered with error -32700 / -32700 parse".to_owned()));
    }
}

#[test]
fn what_is_no_answer_to_a_batch() {
    for body in [
        "[",
        "{",
        "[{\"id\":7,\"result\":1}",
        "[{\"id\":7,\"result\":1},]",
        "null",
        "7",
        "\"x\"",
        "<html>",
        "[]x",
        "{}{}",
    ] {
        assert_eq!(decode(&[Some(7), Some(8)], body).expect_err(body).0, ErrorKind::Decode, "{body}");
    }
    // Deeper than any parser should follow.
    let deep: &'static str = Box::leak(format!("[{}]", "[".repeat(100_000)).into_boxed_str());
    assert_eq!(decode(&[Some(7)], deep).expect_err("deep").0, ErrorKind::Decode);
    let deep = format!("[{{\"id\":7,\"result\":{}{}}}]", "[".repeat(100_000), "]".repeat(100_000));
    let answers = decode(&[Some(7)], Box::leak(deep.into_boxed_str())).expect("answers");
    assert!(answers[0].is_ok(), "its caller is the one to find out");
}

#[test]
fn other_statuses_are_read_if_they_are_json() {
    let codec = JsonRpc::new();
    for (status, content_type, expected) in [
        (200, "text/plain", true),
        (204, "", true),
        (500, "application/json; charset=utf-8", true),
        (400, "Application/JSON", true),
        (404, "application/problem+json", true),
        (500, "text/html", false),
        (302, "", false),
    ] {
        assert_eq!(codec.reads(&head(status, content_type)), expected, "{status} {content_type}");
    }
    // Nothing in an error tells that notifications were taken.
    let body = Bytes::from_static(br#"[{"id":7,"result":1}]"#);
    let answers = codec.decode(&vec![None, Some(7), Some(8)], &head(500, "application/json"), body).expect("answers");
    let kinds: Vec<_> = answers.into_results().map(|answer| answer.map(drop).map_err(|error| error.kind())).collect();
    assert_eq!(kinds, [Err(ErrorKind::Status), Ok(()), Err(ErrorKind::Status)]);
}

#[test]
fn an_error_shows_what_was_said() {
    let said = RpcError::of(&Error::new(ErrorKind::Status, "x")).is_none();
    assert!(said);
    let head = head(200, "application/json");
    let body = Bytes::from_static(br#"{"id":7,"error":{"code":-5,"message":"m","data":{"a":1}}}"#);
    let answers = JsonRpc::new().decode(&vec![Some(7)], &head, body).expect("answers");
    let error = answers.into_results().next().expect("one").expect_err("an error");
    let said = RpcError::of(&error).expect("its source");
    assert_eq!((said.code(), said.message(), said.to_string().as_str()), (-5, "m", "m (code -5)"));
    assert_eq!(said.data().map(Json::as_bytes), Some(br#"{"a":1}"#.as_slice()));
}
