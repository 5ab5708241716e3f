//! What calls keep in a folder, and how it is looked at.

use netcomm::http::testing::{ReceivedRequest, Reply, ScriptedServer};
use serde_json::{Value, json};

use crate::stage::{CANARY, Ended, Folder, command, netcomm, run, start};

const FILE: &str = "0123456789";

/// Says how fresh its answers are by their path.
async fn origin() -> ScriptedServer {
    let server = ScriptedServer::builder().handler(|request: &ReceivedRequest| {
        let reply = |status| Reply::status(status).header("etag", "\"v\"");
        match (request.path(), request.header("if-none-match"), request.header("range")) {
            ("/fresh", ..) => {
                reply(200).header("cache-control", "max-age=60").header("vary", "accept, cookie").body("ok")
            }
            ("/stale", Some(_), _) => reply(304).header("cache-control", "max-age=0"),
            ("/stale", ..) => reply(200).header("cache-control", "max-age=0").body("ok"),
            ("/file", _, None) => reply(200).header("content-length", "10").body(&FILE[..5]).then_close(),
            ("/file", _, Some("bytes=5-")) => reply(206).header("content-range", "bytes 5-9/10").body(&FILE[5..]),
            _ => Reply::status(200).body("ok"),
        }
    });
    start(server).await
}

/// A call with that folder as its cache.
async fn call(line: &str, place: &str) -> Ended {
    run(command(line.split_whitespace().chain(["--cache", place]))).await
}

fn place(folder: &Folder) -> String {
    folder.path("kept").display().to_string()
}

#[tokio::test]
async fn the_second_call_is_answered_from_the_folder() {
    let (folder, origin) = (Folder::new(), origin().await);
    let (place, url) = (place(&folder), origin.url("/fresh"));
    let first = call(&format!("get {url} --json"), &place).await.expect_code(0).json();
    assert_eq!((&first["cache"]["hit"], &first["cache"]["forwarded"]), (&json!(false), &json!("uri-miss")));
    assert_eq!(first["cache"]["stored"], true);
    let second = call(&format!("get {url} --json"), &place).await.expect_code(0).json();
    assert_eq!((&second["cache"]["hit"], &second["body"]["text"]), (&json!(true), &json!("ok")));
    assert_eq!((&second["attempts"], &second["peer"]), (&json!([]), &Value::Null));
    let third = call(&format!("get {url} --timing -v"), &place).await.expect_code(0);
    assert_eq!(third.text(), "ok");
    for piece in ["  cache answered from store\n", "ms  no attempt\ncache answered from store, fresh for "] {
        assert!(third.stderr.contains(piece), "{piece} in {}", third.stderr);
    }
    assert_eq!(
        call(&format!("head {url}"), &place).await.expect_code(0).text().lines().next(),
        Some("HTTP/1.1 200 OK")
    );
    assert_eq!(origin.request_count(), 1);
    assert_eq!(netcomm(&format!("get {url} --json")).await.json()["cache"], Value::Null);
}

#[tokio::test]
async fn a_stale_response_is_confirmed_and_modes_say_otherwise() {
    let (folder, origin) = (Folder::new(), origin().await);
    let (place, url) = (place(&folder), origin.url("/stale"));
    let missing = call(&format!("get {url} --cache-mode only-if-cached"), &place).await.expect_code(20);
    assert!(missing.stderr.contains("may not use the network"), "{}", missing.stderr);
    for (options, requests, status) in [
        ("", 1, Value::Null),
        ("", 1, json!(304)),
        ("--cache-mode force-cache", 0, Value::Null),
        ("--cache-mode only-if-cached", 0, Value::Null),
        ("--cache-mode reload", 1, Value::Null),
        ("--cache-mode no-store", 1, Value::Null),
        ("--cache-ttl 600", 0, Value::Null),
    ] {
        let got = call(&format!("get {url} --json {options}"), &place).await.expect_code(0).json();
        assert_eq!((&got["body"]["text"], &got["cache"]["forwarded_status"]), (&json!("ok"), &status), "{options}");
        assert_eq!(origin.take_requests().len(), requests, "{options}");
    }
    drop(origin);
    let stale = call(&format!("get {url} --json"), &place).await.expect_code(0).json();
    assert_eq!((&stale["cache"]["detail"], &stale["cache"]["hit"]), (&json!("unreachable"), &json!(false)), "{stale}");
    for line in ["get http://a.example/ --cache-mode default", "get http://a.example/ --cache x --cache-mode y"] {
        netcomm(line).await.expect_code(2);
    }
}

#[tokio::test]
async fn half_a_file_is_kept_and_the_rest_asked_for_by_the_next_call() {
    let (folder, origin) = (Folder::new(), origin().await);
    let (place, url) = (place(&folder), origin.url("/file"));
    call(&format!("get {url}"), &place).await.expect_code(9);
    let listed = netcomm(&format!("cache ls {place}")).await.expect_code(0);
    assert!(listed.text().contains("  part "), "{listed:?}");
    assert_eq!(call(&format!("get {url}"), &place).await.expect_code(0).text(), FILE);
    let ranges: Vec<_> =
        origin.take_requests().iter().map(|request| request.header("range").map(str::to_owned)).collect();
    assert_eq!(ranges, [None, Some("bytes=5-".to_owned())]);
    let listed = netcomm(&format!("cache ls {place} --json")).await.expect_code(0).json();
    assert_eq!((&listed["complete"], &listed["bytes"], &listed["length"]), (&json!(true), &json!(10), &json!(10)));
}

#[tokio::test]
async fn what_is_stored_is_listed_counted_and_forgotten() {
    let (folder, origin) = (Folder::new(), origin().await);
    let place = place(&folder);
    let (fresh, stale) = (origin.url("/fresh"), origin.url("/stale"));
    for line in [
        format!("get {fresh}?token={CANARY} -H cookie:a={CANARY} -H accept:text/plain"),
        format!("get {fresh}?token={CANARY} -H accept:text/html"),
        format!("get {stale}"),
    ] {
        call(&line, &place).await.expect_code(0);
    }
    let listed = netcomm(&format!("cache ls {place}")).await.expect_code(0);
    let lines: Vec<_> = listed.text().lines().collect();
    assert_eq!(lines.len(), 3, "{listed:?}");
    assert!(lines.iter().all(|line| line.starts_with("200          2 bytes  complete  age ")), "{listed:?}");
    assert!(listed.text().contains(&format!("{fresh}?…  accept: text/plain  cookie: ***\n")), "{listed:?}");
    assert!(listed.text().contains("  accept: text/html  no cookie\n"), "{listed:?}");
    assert!(!listed.text().contains(CANARY), "{listed:?}");
    let full = netcomm(&format!("cache ls {place} --full-urls --url {fresh}?token=h")).await.expect_code(0);
    assert_eq!(full.text().matches(&format!("{fresh}?token={CANARY}")).count(), 2, "{full:?}");
    let listed = netcomm(&format!("cache ls {place} --json --url {stale}")).await.expect_code(0).json();
    assert_eq!((&listed["url"], &listed["status"], &listed["variant"]), (&json!(stale), &json!(200), &json!([])));

    let stat = netcomm(&format!("cache stat {place} --json")).await.expect_code(0).json();
    assert_eq!((&stat["entries"], &stat["max_bytes"]), (&json!(3), &json!(1 << 30)));
    assert!(stat["bytes"].as_u64() > Some(0), "{stat}");
    let rm = netcomm(&format!("cache rm {place} {stale} {fresh}")).await.expect_code(0);
    assert_eq!(rm.text(), format!("1 forgotten: {stale}\nnothing stored: {fresh}\n"));
    let rm = netcomm(&format!("cache rm {place} {fresh}?token={CANARY}")).await.expect_code(0);
    assert_eq!(rm.text(), format!("2 forgotten: {fresh}\n"));
    let stat = netcomm(&format!("cache stat {place}")).await.expect_code(0);
    assert!(stat.text().starts_with("entries  0\nbytes    "), "{stat:?}");
    call(&format!("get {stale}"), &place).await.expect_code(0);
    assert_eq!(netcomm(&format!("cache rm {place} --all")).await.expect_code(0).text(), "1 forgotten\n");
    assert_eq!(netcomm(&format!("cache ls {place}")).await.expect_code(0).text(), "");
}

#[tokio::test]
async fn a_folder_that_is_none_stays_none() {
    let folder = Folder::new();
    let (place, empty) = (place(&folder), folder.path("empty"));
    std::fs::create_dir(&empty).expect("a folder");
    for place in [&place, &empty.display().to_string()] {
        for line in ["ls", "stat", "rm --all"] {
            let ended = netcomm(&format!("cache {line} {place}")).await.expect_code(18);
            assert!(ended.stderr.contains("holds no stored responses"), "{}", ended.stderr);
        }
    }
    assert!(!folder.path("kept").exists());
    assert_eq!(std::fs::read_dir(empty).expect("a folder").count(), 0);
    let ended = netcomm(&format!("cache rm {place}")).await.expect_code(2);
    assert!(ended.stderr.contains("<URL>..."), "{}", ended.stderr);
    netcomm("get nonsense --cache x --pin y").await.expect_code(2);
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_fails_no_call() {
    let (folder, origin) = (Folder::new(), origin().await);
    let file = folder.write("kept", "a file").display().to_string();
    let ended = call(&format!("get {}", origin.url("/fresh")), &file).await.expect_code(0);
    assert_eq!(ended.text(), "ok");
    assert!(ended.stderr.starts_with("netcomm: warning: "), "{}", ended.stderr);
}
