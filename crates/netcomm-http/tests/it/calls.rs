//! One call: what is sent for what is asked, and what comes back.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_core::Stream;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use netcomm_core::{Body, Endpoint, ErrorKind, HttpTransport, Limits, Scope};
use netcomm_http::Credentials;
use netcomm_http::testing::{Reply, ScriptedServer};

use crate::stage::{CANARY, friendly, shown, stage};

/// A stream that gives what is in a list.
struct Listed<T>(std::vec::IntoIter<T>);

impl<T: Unpin> Stream for Listed<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Ready(self.0.next())
    }
}

fn listed<T>(items: Vec<T>) -> Listed<T> {
    Listed(items.into_iter())
}

fn chunk(text: &'static str) -> Result<bytes::Bytes, std::io::Error> {
    Ok(bytes::Bytes::from_static(text.as_bytes()))
}

#[tokio::test(start_paused = true)]
async fn every_method_goes_out_under_its_name() {
    let stage = friendly();
    let client = stage.client();
    let url = "http://a.example/x";
    let calls = [
        client.get(url),
        client.head(url),
        client.post(url),
        client.put(url),
        client.patch(url),
        client.delete(url),
        client.request(Method::from_bytes(b"PURGE").unwrap(), url),
    ];
    for call in calls {
        assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);
    }
    let methods: Vec<_> = stage.server.requests().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PURGE"]);
}

#[tokio::test(start_paused = true)]
async fn relative_references_are_joined_to_the_base() {
    let stage = friendly();
    let client = stage.builder().base_url("http://a.example/v1/").build().unwrap();
    for (reference, target, host) in [
        ("user/42", "/v1/user/42", "a.example"),
        ("/user", "/user", "a.example"),
        ("?q=1", "/v1/?q=1", "a.example"),
        ("../x", "/x", "a.example"),
        ("//b.example/y", "/y", "b.example"),
        ("http://c.example/z", "/z", "c.example"),
    ] {
        client.get(reference).send().await.unwrap();
        let seen = stage.server.take_requests().remove(0);
        assert_eq!((seen.target.as_str(), seen.header("host")), (target, Some(host)), "{reference}");
    }
    let error = stage.client().get("user/42").send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(stage.builder().base_url("not a url").build().is_err());
    assert!(stage.builder().base_url("ftp://a.example/").build().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_requests_own_field_takes_the_place_of_the_default() {
    let stage = friendly();
    let client =
        stage.builder().default_header("x-team", "default").default_header("accept", "text/plain").build().unwrap();
    client.get("http://a.example/").send().await.unwrap();
    client.get("http://a.example/").header("x-team", "own").send().await.unwrap();
    let added = client.get("http://a.example/").header("x-team", "one").header_append("x-team", "two");
    added.send().await.unwrap();
    let mut both = HeaderMap::new();
    both.append("x-team", HeaderValue::from_static("a"));
    both.append("x-team", HeaderValue::from_static("b"));
    client.get("http://a.example/").header("x-team", "gone").headers(both).send().await.unwrap();
    let seen = stage.server.requests();
    let teams: Vec<_> = seen.iter().map(|seen| seen.header_all("x-team")).collect();
    assert_eq!(teams, [vec!["default"], vec!["own"], vec!["one", "two"], vec!["a", "b"]]);
    assert!(seen.iter().all(|seen| seen.header_all("accept") == ["text/plain"]));
}

#[tokio::test(start_paused = true)]
async fn the_client_names_itself_unless_it_is_given_another_name() {
    let stage = friendly();
    stage.client().get("http://a.example/").send().await.unwrap();
    let client = stage.builder().default_header("user-agent", "mine/1").build().unwrap();
    client.get("http://a.example/").send().await.unwrap();
    let agents: Vec<_> = stage.server.requests().iter().map(|seen| seen.header_all("user-agent").join("|")).collect();
    assert_eq!(agents, [concat!("netcomm-http/", env!("CARGO_PKG_VERSION")), "mine/1"]);
}

#[tokio::test(start_paused = true)]
async fn exact_paths_are_sent_as_they_are_unless_there_are_rules_for_paths() {
    let stage = friendly();
    let uri: Uri = "http://a.example/v1/../%2e/{x}\\?q='|".parse().unwrap();
    let exact = stage.builder().exact_paths(true).build().unwrap();
    let scope = Scope::builder("plugin").allow("http://a.example/").unwrap().build();
    let with_credentials = exact.with_credentials("http://a.example/v1/", Credentials::bearer(&"t".into()).unwrap());
    for (client, target) in [
        (&exact, "/v1/../%2e/{x}\\?q='|"),
        (&stage.client(), "/%7Bx%7D/?q=%27|"),
        (&exact.scoped(scope), "/%7Bx%7D/?q=%27|"),
        (&with_credentials.unwrap(), "/%7Bx%7D/?q=%27|"),
    ] {
        client.get(&uri).send().await.unwrap();
        assert_eq!(stage.server.take_requests().remove(0).target, target);
    }
    exact.get("http://a.example/v1/../x").send().await.unwrap();
    assert_eq!(stage.server.take_requests().remove(0).target, "/x");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_adds_nothing_but_what_the_protocol_wants() {
    let stage = friendly();
    let client = stage.builder().default_header("x-own", "1").no_default_headers().decode(false).build().unwrap();
    client.get("http://a.example/").send().await.unwrap();
    let names: Vec<_> = stage.server.requests().remove(0).headers.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["host"]);
}

#[tokio::test(start_paused = true)]
async fn user_information_becomes_basic_credentials_and_leaves_the_url() {
    let stage = friendly();
    let response = stage.client().get("http://test:123%C2%A3@a.example/x").send().await.unwrap();
    assert_eq!(*response.uri(), "http://a.example/x");
    let uri: Uri = "http://u:p@a.example/x".parse().unwrap();
    stage.client().get(uri).send().await.unwrap();
    let seen = stage.server.requests();
    assert_eq!(seen[0].header_all("authorization"), ["Basic dGVzdDoxMjPCow=="]);
    assert_eq!((seen[0].target.as_str(), seen[0].header("host")), ("/x", Some("a.example")));
    assert_eq!(seen[1].header_all("authorization"), ["Basic dTpw"]);
    assert_eq!(seen[1].header("host"), Some("a.example"));
}

#[tokio::test(start_paused = true)]
async fn credentials_of_one_call_take_the_place_of_earlier_ones() {
    let stage = friendly();
    let client = stage.client();
    client.get("http://u:p@a.example/").bearer_auth("token").send().await.unwrap();
    client.get("http://a.example/").bearer_auth("token").basic_auth("u", "p").send().await.unwrap();
    let seen = stage.server.requests();
    assert_eq!(seen[0].header_all("authorization"), ["Bearer token"]);
    assert_eq!(seen[1].header_all("authorization"), ["Basic dTpw"]);
}

#[tokio::test(start_paused = true)]
async fn queries_are_added_to_what_is_there() {
    let stage = friendly();
    let client = stage.client();
    let pairs = [("a", "1"), ("b c", "ä&=")];
    client.get("http://a.example/x").query(&pairs).send().await.unwrap();
    client.get("http://a.example/x?y=0").query(&pairs).query(&[("z", 2)]).send().await.unwrap();
    client.get("http://a.example/x#f").query(&[("q", "1")]).send().await.unwrap();
    let none: [(&str, &str); 0] = [];
    client.get("http://a.example/x").query(&none).send().await.unwrap();
    let targets: Vec<_> = stage.server.requests().into_iter().map(|seen| seen.target).collect();
    assert_eq!(targets, ["/x?a=1&b+c=%C3%A4%26%3D", "/x?y=0&a=1&b+c=%C3%A4%26%3D&z=2", "/x?q=1", "/x",]);
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_body_arrives_whole_with_the_framing_that_fits_it() {
    let stage = friendly();
    let client = stage.client();
    let post = || client.post("http://a.example/");
    post().body("text").send().await.unwrap();
    post().body(vec![b'x'; 200_000]).send().await.unwrap();
    post().body(Body::from_stream(listed(vec![chunk("one "), chunk("two")]))).send().await.unwrap();
    post().body(Body::from_reader(&b"known length"[..], Some(12))).send().await.unwrap();
    post().body(Body::from_reader(&b"unknown length"[..], None)).send().await.unwrap();
    let maker = || Body::from_reader(&b"again"[..], Some(5));
    post().body(Body::replayable(maker)).send().await.unwrap();
    post().send().await.unwrap();
    client.get("http://a.example/").send().await.unwrap();
    let seen: Vec<_> = stage
        .server
        .requests()
        .into_iter()
        .map(|seen| {
            let framing =
                seen.header("content-length").or_else(|| seen.header("transfer-encoding")).unwrap_or("none").to_owned();
            (seen.body_bytes, seen.text().chars().take(20).collect::<String>(), framing)
        })
        .collect();
    let expected = [
        (4, "text", "4"),
        (200_000, "xxxxxxxxxxxxxxxxxxxx", "200000"),
        (7, "one two", "chunked"),
        (12, "known length", "12"),
        (14, "unknown length", "chunked"),
        (5, "again", "5"),
        // RFC 9110 §8.6: a method that gives a body meaning says that there is none.
        (0, "", "0"),
        (0, "", "none"),
    ]
    .map(|(bytes, text, framing)| (bytes, text.to_owned(), framing.to_owned()));
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn forms_and_json_name_their_type_unless_the_caller_does() {
    let stage = friendly();
    let client = stage.client();
    client.post("http://a.example/").form(&[("a", "b c"), ("d", "é")]).send().await.unwrap();
    #[cfg(feature = "json")]
    {
        let value = BTreeMap::from([("a", 1)]);
        client.post("http://a.example/").json(&value).send().await.unwrap();
        let own = client.post("http://a.example/").header("content-type", "application/x+json");
        own.json(&value).send().await.unwrap();
    }
    client.post("http://a.example/").body("bare").send().await.unwrap();
    let seen: Vec<_> = stage
        .server
        .requests()
        .into_iter()
        .map(|seen| (seen.header("content-type").unwrap_or("").to_owned(), seen.text()))
        .collect();
    assert_eq!(seen[0], ("application/x-www-form-urlencoded".into(), "a=b+c&d=%C3%A9".into()));
    #[cfg(feature = "json")]
    {
        assert_eq!(seen[1], ("application/json".into(), r#"{"a":1}"#.into()));
        assert_eq!(seen[2].0, "application/x+json");
    }
    assert_eq!(seen[seen.len() - 1], (String::new(), "bare".into()));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_fails_the_call_with_its_own_error() {
    let stage = friendly();
    let client = stage.client();
    let broken = vec![chunk("some"), Err(std::io::Error::other("the disk is gone"))];
    let error = client.post("http://a.example/").body(Body::from_stream(listed(broken))).send().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::User);
    assert!(shown(&error).contains("the disk is gone"), "{error:?}");
    for announced in [5, 100] {
        let body = Body::from_reader(&b"eleven byte"[..], Some(announced));
        let error = client.post("http://a.example/").body(body).send().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::User);
        assert!(error.to_string().contains("11 bytes"), "{error}");
    }
    // What was cut off is no request that a server could take for a whole one.
    assert!(stage.server.requests().iter().all(|seen| !seen.complete));
}

#[tokio::test(start_paused = true)]
async fn the_host_field_has_a_port_only_where_it_is_not_the_default() {
    let stage = friendly();
    let client = stage.client();
    for (url, host) in [
        ("http://a.example/", "a.example"),
        ("http://a.example:80/", "a.example"),
        ("http://A.Example.:8080/", "a.example:8080"),
        ("https://a.example/", "a.example"),
        ("https://a.example:443/", "a.example"),
        ("https://a.example:80/", "a.example:80"),
        ("http://[2001:DB8::1]/", "[2001:db8::1]"),
        ("http://[2001:db8::1]:81/", "[2001:db8::1]:81"),
        ("http://127.1:81/", "127.0.0.1:81"),
        ("http://bücher.example/", "xn--bcher-kva.example"),
    ] {
        client.get(url).send().await.unwrap();
        let seen = stage.server.take_requests().remove(0);
        assert_eq!(seen.header_all("host"), [host], "{url}");
        assert_eq!(seen.target, "/", "{url}");
    }
    client.get("http://a.example/").header("host", "b.example").send().await.unwrap();
    assert_eq!(stage.server.requests()[0].header_all("host"), ["b.example"]);
}

#[tokio::test(start_paused = true)]
async fn head_has_no_body_and_keeps_its_connection() {
    let stage = stage(ScriptedServer::builder().route("/", Reply::status(200).header("content-length", "1000")));
    let client = stage.client();
    for _ in 0..2 {
        let response = client.head("http://a.example/").send().await.unwrap();
        assert_eq!(response.headers()["content-length"], "1000");
        assert_eq!(response.bytes().await.unwrap(), "");
    }
    assert_eq!(stage.dialer.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_can_be_had_in_every_shape() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/", Reply::status(200).chunked(["{\"a\"", ": 1}"]))
            .route("/bad", Reply::status(200).body("{\"a\": \n nothing}")),
    );
    let client = stage.client();
    let get = || client.get("http://a.example/").send();
    assert_eq!(get().await.unwrap().text().await.unwrap(), "{\"a\": 1}");
    assert_eq!(get().await.unwrap().bytes().await.unwrap(), "{\"a\": 1}");
    let mut response = get().await.unwrap();
    let mut all = Vec::new();
    while let Some(chunk) = response.chunk().await.unwrap() {
        all.extend_from_slice(&chunk);
    }
    assert_eq!(all, b"{\"a\": 1}");
    assert!(response.chunk().await.unwrap().is_none(), "the end stays the end");
    let mut stream = pin!(get().await.unwrap().stream());
    let mut all = Vec::new();
    while let Some(chunk) = poll_fn(|cx| stream.as_mut().poll_next(cx)).await {
        all.extend_from_slice(&chunk.unwrap());
    }
    assert_eq!(all, b"{\"a\": 1}");
    #[cfg(feature = "json")]
    {
        let map: BTreeMap<String, u32> = get().await.unwrap().json().await.unwrap();
        assert_eq!(map["a"], 1);
        let bad = client.get("http://a.example/bad").send().await.unwrap();
        let error = bad.json::<BTreeMap<String, u32>>().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains("line 2 column 3"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_is_an_error_only_on_request() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/404", Reply::status(404).body("gone"))
            .route("/503", Reply::status(503))
            .route("/304", Reply::status(304)),
    );
    let client = stage.client();
    let response = client.get("http://a.example/404?secret=1").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let error = response.error_for_status().unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(StatusCode::NOT_FOUND)));
    assert_eq!(error.url(), Some("http://a.example/404"));
    assert!(!error.is_retryable());
    let busy = client.get("http://a.example/503").send().await.unwrap();
    assert!(busy.error_for_status().unwrap_err().is_retryable());
    assert!(client.get("http://a.example/304").send().await.unwrap().error_for_status().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_body_too_long_for_memory_is_refused_but_can_be_streamed() {
    for reply in [
        Reply::status(200).body(vec![b'x'; 1001]),
        Reply::status(200).chunked([vec![b'x'; 500], vec![b'x'; 501]]),
        Reply::status(200).until_close(vec![b'x'; 1001]),
    ] {
        let stage = stage(ScriptedServer::builder().route("/", reply));
        let limits = Limits::default().with_buffered_bytes(1000);
        let client = stage.builder().limits(limits).build().unwrap();
        let get = || client.get("http://a.example/").send();
        let error = get().await.unwrap().bytes().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("limit buffered_bytes"), "{error}");
        assert_eq!(get().await.unwrap().text().await.unwrap_err().kind(), ErrorKind::TooLarge);
        let mut response = get().await.unwrap();
        let mut got = 0;
        while let Some(chunk) = response.chunk().await.unwrap() {
            got += chunk.len();
        }
        assert_eq!(got, 1001);
        let wider = Limits::default().with_buffered_bytes(1001);
        let response = client.get("http://a.example/").limits(wider).send().await.unwrap();
        assert_eq!(response.bytes().await.unwrap().len(), 1001);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_of_a_body_comes_through_in_any_shape() {
    for (reply, announced) in [
        (Reply::status(200).body(vec![b'x'; 100_000]), true),
        (Reply::status(200).chunked(vec![vec![b'x'; 1000]; 100]), false),
        (Reply::status(200).until_close(vec![b'x'; 100_000]), false),
    ] {
        let stage = stage(ScriptedServer::builder().route("/", reply));
        let limits = Limits::default().with_body_bytes(10_000);
        let client = stage.builder().limits(limits).build().unwrap();
        let mut response = client.get("http://a.example/").send().await.unwrap();
        let mut got = 0;
        let error = loop {
            match response.chunk().await {
                Ok(chunk) => got += chunk.expect("no end before the limit").len(),
                Err(error) => break error,
            }
        };
        assert!(got <= 10_000, "{got}");
        assert!(!announced || got == 0, "what is announced to be too long is not begun");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("limit body_bytes"), "{error}");
        assert!(response.chunk().await.unwrap().is_none(), "an error is the end");
        stage.dialer.until_open(0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_smuggle_a_line_is_refused_before_anything_is_dialled() {
    let stage = friendly();
    let client = stage.client();
    let good = "http://a.example/";
    let calls = [
        client.get(good).header("x-a", "b\r\nx-evil: 1"),
        client.get(good).header("x-a", "b\nx-evil: 1"),
        client.get(good).header("x-a", "b\0"),
        client.get(good).header("x-a\r\nx-evil", "b"),
        client.get(good).header("x a", "b"),
        client.get(good).header_append("x-a", "b\r\nx-evil: 1"),
        client.get(good).bearer_auth("a\r\nx-evil: 1"),
        client.get(good).basic_auth("a:b", "c"),
        client.get(good).basic_auth("a\n", "c"),
        client.get("http://a.example/x\r\nx-evil: 1"),
        client.get("http://a.example/x\nHost: b.example"),
        client.get("http://a.example\r\n.b.example/"),
        client.get("http://a.example/\tx"),
        client.get("http://a b/"),
        client.get("ftp://a.example/"),
        client.get("http://"),
    ];
    for (index, call) in calls.into_iter().enumerate() {
        let error = call.send().await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{index}: {error}");
        assert!(!error.to_string().contains(['\r', '\n']), "{index}: {error:?}");
    }
    assert!(Method::from_bytes(b"GET\r\nx-evil: 1").is_err());
    assert!(HeaderName::from_bytes(b"x\r\ny").is_err());
    for (name, value) in [("x-a", "b\r\nc"), ("x\r\n", "b")] {
        let error = stage.builder().default_header(name, value).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
    assert_eq!((stage.dialer.dials(), stage.server.request_count()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_first_mistake_is_the_one_reported() {
    let stage = friendly();
    let call = stage.client().get("ftp://a.example/").header("x a", "b").query(&[("a", "b")]);
    let error = call.build().unwrap_err();
    assert!(error.to_string().contains("scheme"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_shown_by_what_a_user_may_print() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/ok", Reply::status(200).header("set-cookie", format!("s={CANARY}")))
            .route("/bad", Reply::raw(format!("{CANARY}\r\n\r\n"))),
    );
    let client = stage
        .builder()
        .default_header("x-api-key", CANARY)
        .default_header("authorization", format!("Bearer {CANARY}"))
        .secret_header("x-own")
        .default_header("x-own", CANARY)
        .build()
        .unwrap();
    let url = format!("http://user:{CANARY}@a.example/ok?token={CANARY}");
    let builder = client.get(&url).header("cookie", CANARY).header("x-auth-token", CANARY);
    let builder = builder.header("x-own", CANARY).bearer_auth(CANARY).body(CANARY);
    assert!(!format!("{client:?}").contains(CANARY), "{client:?}");
    assert!(!format!("{builder:?}").contains(CANARY), "{builder:?}");
    let request = builder.build().unwrap();
    assert!(!format!("{request:?}").contains(CANARY), "{request:?}");
    let response = client.execute(request).await.unwrap();
    assert!(!format!("{response:?}").contains(CANARY), "{response:?}");
    let error = client.get(format!("http://u:{CANARY}@a.example/bad?key={CANARY}#{CANARY}"));
    let error = error.send().await.unwrap_err();
    assert!(!shown(&error).contains(CANARY), "{}", shown(&error));
    for call in [
        client.get(format!("http://u:{CANARY}@/?q={CANARY}")),
        client.get("http://a.example/").bearer_auth(format!("{CANARY}\n")),
        client.get("http://a.example/").basic_auth(CANARY, format!("{CANARY}\n")),
        client.get(format!("ftp://u:{CANARY}@a.example/?{CANARY}")),
        client.get(format!("//u:{CANARY}@a.example/?{CANARY}")),
    ] {
        assert!(!format!("{call:?}").contains(CANARY), "{call:?}");
        let error = call.send().await.unwrap_err();
        assert!(!shown(&error).contains(CANARY), "{}", shown(&error));
    }
    assert!(!stage.seen.debug_text().contains(CANARY));
}

#[tokio::test(start_paused = true)]
async fn a_request_can_be_looked_at_changed_and_sent_again() {
    let stage = friendly();
    let client = stage.client();
    let builder = client.post("http://A.example:80/x#f").body("body").header("x-a", "1");
    let mut request = builder.build().unwrap();
    assert_eq!((request.method(), request.uri().to_string()), (&Method::POST, "http://a.example/x".into()));
    assert_eq!(request.body().len(), Some(4));
    request.headers_mut().insert("x-a", HeaderValue::from_static("2"));
    let again = request.try_clone().expect("bytes can be sent twice");
    for request in [request, again] {
        client.execute(request).await.unwrap();
    }
    let seen = stage.server.requests();
    assert!(seen.iter().all(|seen| seen.header("x-a") == Some("2") && seen.text() == "body"));
    let stream = client.post("http://a.example/").body(Body::from_reader(tokio::io::empty(), None));
    assert!(stream.build().unwrap().try_clone().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_client_is_a_transport_for_whoever_wants_one() {
    let stage = friendly();
    let request = http::Request::put("http://u:p@a.example/x?y").header("x-a", "1");
    let request = request.body(Body::from("hello")).unwrap();
    let response = HttpTransport::send(&stage.client(), request).await.unwrap();
    assert_eq!(response.into_body().collect(10).await.unwrap(), "ok");
    let seen = stage.server.requests().remove(0);
    assert_eq!((seen.method.as_str(), seen.target.as_str(), seen.text().as_str()), ("PUT", "/x?y", "hello"));
    assert_eq!((seen.header("x-a"), seen.header("authorization")), (Some("1"), Some("Basic dTpw")));
}

#[tokio::test(start_paused = true)]
async fn a_response_tells_where_it_comes_from() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/a", crate::stage::redirect(302, "/b?x"))
            .route("/b", Reply::status(200).body("12345")),
    );
    let client = stage.client();
    let response = client.get("http://a.example/a#f").send().await.unwrap();
    assert_eq!(response.uri(), "http://a.example/b?x");
    assert_eq!(response.redirects(), ["http://a.example/a"]);
    assert_eq!((response.attempts().len(), response.connection()), (2, Some(1)));
    assert_eq!((response.version(), response.content_length()), (http::Version::HTTP_11, Some(5)));
    assert!(response.tls().is_none());
    let other = client.get("http://a.example/b").send().await.unwrap();
    assert_ne!(other.call(), response.call());
}

#[tokio::test(start_paused = true)]
async fn a_unix_socket_is_dialled_whatever_host_the_url_names() {
    let stage = friendly();
    let client = stage.builder().unix_socket("/run/app.sock").build().unwrap();
    client.get("http://localhost/v1/x").send().await.unwrap();
    let targets = stage.dialer.targets();
    assert_eq!(targets[0].endpoint, Endpoint::Unix { path: "/run/app.sock".into() });
    let seen = stage.server.requests().remove(0);
    assert_eq!((seen.target.as_str(), seen.header("host")), ("/v1/x", Some("localhost")));
}

#[cfg(feature = "dial")]
#[tokio::test]
async fn one_line_is_enough_for_one_call() {
    let server = ScriptedServer::builder()
        .route("GET /x", Reply::status(200).body("hello"))
        .route("POST /x", Reply::status(201))
        .start()
        .await
        .unwrap();
    let url = server.url("/x");
    let response = netcomm_http::get(&url).await.unwrap();
    assert_eq!(response.peer(), Some(server.address()));
    assert_eq!(response.text().await.unwrap(), "hello");
    assert_eq!(netcomm_http::fetch(&url).await.unwrap(), "hello");
    assert_eq!(netcomm_http::post(&url, "body").await.unwrap().status(), StatusCode::CREATED);
    assert_eq!(server.requests()[2].text(), "body");
    let error = netcomm_http::fetch(server.url("/missing")).await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
}

#[test]
fn public_types_can_go_to_other_threads() {
    fn check<T: Send + Sync>() {}
    check::<netcomm_http::Client>();
    check::<Credentials>();
    fn check_send<T: Send>() {}
    check_send::<netcomm_http::Response>();
    check_send::<netcomm_http::Request>();
    check_send::<netcomm_http::RequestBuilder>();
}

#[tokio::test(start_paused = true)]
async fn a_handle_made_of_one_that_was_used_goes_by_its_own_settings() {
    let stage = friendly();
    let client = stage.client();
    client.get("http://a.example/").send().await.unwrap();
    let headers = HeaderMap::from_iter([(HeaderName::from_static("own"), HeaderValue::from_static("1"))]);
    let named = client.with_headers(headers);
    named.get("http://a.example/").send().await.unwrap();
    let known = named.with_credentials("http://a.example", Credentials::bearer(&"t".into()).unwrap()).unwrap();
    known.get("http://a.example/").send().await.unwrap();
    client.get("http://a.example/").send().await.unwrap();
    let told = |name: &str| -> Vec<bool> {
        stage.server.requests().iter().map(|request| request.header(name).is_some()).collect()
    };
    assert_eq!(told("own"), [false, true, true, false]);
    assert_eq!(told("authorization"), [false, false, true, false]);
    let scoped = client.scoped(Scope::builder("s").build());
    assert_eq!(scoped.get("http://a.example/").send().await.unwrap_err().kind(), ErrorKind::Denied);
}
