//! HAR 1.2 as its specification has it: which fields there must be, of what kind, and what holds between them.

use serde_json::{Map, Value};

/// Panics where it is not.
pub(crate) fn check(har: &Value) {
    let log = object(&har["log"], "log");
    text(log, "version");
    let creator = object(&har["log"]["creator"], "creator");
    text(creator, "name");
    text(creator, "version");
    list(log, "pages");
    for entry in list(log, "entries") {
        check_entry(object(entry, "entry"));
    }
}

fn check_entry(entry: &Map<String, Value>) {
    date(text(entry, "startedDateTime"));
    let time = number(entry, "time", 0.0);
    check_request(object(&entry["request"], "request"));
    check_response(object(&entry["response"], "response"));
    object(&entry["cache"], "cache");
    let timings = object(&entry["timings"], "timings");
    let optional = ["blocked", "dns", "connect"].map(|name| number(timings, name, -1.0).max(0.0));
    let always = ["send", "wait", "receive"].map(|name| number(timings, name, 0.0));
    let sum: f64 = optional.into_iter().chain(always).sum();
    assert!((sum - time).abs() < 0.01, "time is the sum of its parts: {entry:?}");
    assert!(number(timings, "ssl", -1.0) <= number(timings, "connect", -1.0), "connect holds ssl");
    for name in ["serverIPAddress", "connection"] {
        if entry.contains_key(name) {
            text(entry, name);
        }
    }
    for name in entry.keys() {
        let known =
            ["startedDateTime", "time", "request", "response", "cache", "timings", "serverIPAddress", "connection"];
        assert!(name.starts_with('_') || known.contains(&name.as_str()), "own fields begin with _: {name}");
    }
}

fn check_request(request: &Map<String, Value>) {
    assert!(!text(request, "method").is_empty());
    let url = text(request, "url");
    assert!(url.contains("://") && !url.contains('#'), "absolute, without fragment: {url}");
    check_head(request);
    pairs(request, "queryString");
    if let Some(post) = request.get("postData") {
        let post = object(post, "postData");
        text(post, "mimeType");
        assert!(post.contains_key("text") != post.contains_key("params"), "one of the two");
    }
}

fn check_response(response: &Map<String, Value>) {
    number(response, "status", 0.0);
    text(response, "statusText");
    text(response, "redirectURL");
    check_head(response);
    let content = object(&response["content"], "content");
    number(content, "size", 0.0);
    text(content, "mimeType");
    for name in ["text", "encoding"] {
        if content.contains_key(name) {
            text(content, name);
        }
    }
}

fn check_head(head: &Map<String, Value>) {
    text(head, "httpVersion");
    pairs(head, "headers");
    pairs(head, "cookies");
    for cookie in list(head, "cookies") {
        if let Some(expires) = cookie.get("expires") {
            date(expires.as_str().expect("a date"));
        }
    }
    number(head, "headersSize", -1.0);
    number(head, "bodySize", -1.0);
}

fn pairs(of: &Map<String, Value>, name: &str) {
    for pair in list(of, name) {
        let pair = object(pair, name);
        text(pair, "name");
        text(pair, "value");
    }
}

fn object<'v>(value: &'v Value, name: &str) -> &'v Map<String, Value> {
    value.as_object().unwrap_or_else(|| panic!("{name} is no object: {value}"))
}

fn list<'v>(of: &'v Map<String, Value>, name: &str) -> &'v [Value] {
    of.get(name).and_then(Value::as_array).unwrap_or_else(|| panic!("{name} is no list in {of:?}"))
}

fn text<'v>(of: &'v Map<String, Value>, name: &str) -> &'v str {
    of.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("{name} is no text in {of:?}"))
}

fn number(of: &Map<String, Value>, name: &str, least: f64) -> f64 {
    let number = of.get(name).and_then(Value::as_f64).unwrap_or_else(|| panic!("{name} is no number in {of:?}"));
    assert!(number >= least, "{name} in {of:?}");
    number
}

/// ISO 8601 with a zone: `2009-07-24T19:20:30.045Z`.
fn date(text: &str) {
    let shape: String = text.chars().map(|char| if char.is_ascii_digit() { '9' } else { char }).collect();
    assert_eq!(shape, "9999-99-99T99:99:99.999Z", "{text}");
}
