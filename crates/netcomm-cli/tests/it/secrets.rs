//! Secrets appear neither in what is told nor in errors.

use netcomm::http::testing::{Reply, Script, ScriptedServer};

use crate::stage::{CANARY, command, run, start};

/// Runs commands that carry secrets everywhere where they can be carried, and looks at all they say.
async fn say(url: &str, code: i32) {
    let with_user = url.replacen("://", &format!("://user:{CANARY}@"), 1);
    let with_query = format!("{url}?access_token={CANARY}&plain={CANARY}");
    let (header, cookie, user) =
        (format!("x-api-key: {CANARY}"), format!("cookie: id={CANARY}"), format!("me:{CANARY}"));
    for arguments in [
        vec!["get", url, "--bearer", CANARY],
        vec!["get", url, "--user", &user],
        vec!["get", url, "-H", &header, "-H", &cookie],
        vec!["get", &with_user],
        vec!["get", &with_query],
        vec!["post", url, "-d", CANARY],
    ] {
        let mut line = command(&arguments);
        line.args(["-v", "--timing", "--timeout", "5"]);
        let ended = run(line).await.expect_code(code);
        assert!(ended.stderr.contains("call "), "{}", ended.stderr);
        assert!(!ended.stderr.contains(CANARY) && !ended.text().contains(CANARY), "{arguments:?}: {ended:?}");
        if code != 0 {
            let mut line = command(&arguments);
            line.arg("--json");
            let ended = run(line).await.expect_code(code);
            assert!(!ended.text().contains(CANARY), "{arguments:?}: {ended:?}");
        }
    }
}

#[tokio::test]
async fn of_a_call_that_succeeds() {
    let answer = Reply::status(200).header("set-cookie", format!("id={CANARY}")).body("ok");
    let server = start(ScriptedServer::builder().handler(move |_| answer.clone())).await;
    say(&server.url("/"), 0).await;
}

#[tokio::test]
async fn of_calls_that_fail() {
    let closing = start(ScriptedServer::builder().handler(|_| Script::new().close())).await;
    say(&closing.url("/"), 9).await;
    say("http://127.0.0.1:1/", 5).await;
    let away = format!("http://user:{CANARY}@127.0.0.1:1/?code={CANARY}#{CANARY}");
    let answer = Reply::status(307).header("location", away);
    let redirecting = start(ScriptedServer::builder().handler(move |_| answer.clone())).await;
    say(&redirecting.url("/"), 5).await;
}

#[tokio::test]
async fn of_options_that_mean_nothing() {
    let header = format!("x-key {CANARY}");
    let value = format!("x-key: {CANARY}\u{1}");
    let proxy = format!("http://user:{CANARY}@:port");
    for arguments in [
        ["-H", &header],
        ["-H", &value],
        ["--user", CANARY],
        ["--form", CANARY],
        ["--query", CANARY],
        ["--pin", CANARY],
        ["--proxy", &proxy],
    ] {
        let mut line = command(["get", "http://127.0.0.1:1/"]);
        line.args(arguments);
        let ended = run(line).await.expect_code(2);
        assert!(!ended.stderr.contains(CANARY), "{arguments:?}: {}", ended.stderr);
    }
}
