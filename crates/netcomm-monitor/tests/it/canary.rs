//! A secret that is planted wherever one can be is in nothing that is shown.

use std::error::Error as _;
use std::fmt::Write as _;

use netcomm_core::{Env, Error, Interest, Tap};

use netcomm_http::testing::{Reply, ScriptedServer};
use netcomm_http::{Client, CookieJar, Credentials};
use netcomm_monitor::{Redactor, Stats};
use netcomm_tests::CollectingObserver;
use netcomm_ws::{AcceptOptions, Socket};

use crate::recording::{CANARY, Stage, stage};

fn server() -> netcomm_http::testing::ScriptedServerBuilder {
    let cookie = format!("sid={CANARY}; Path=/; HttpOnly");
    let json = format!("{{\"user\":{{\"pin\":\"{CANARY}\",\"other\":[1]}},\"tokens\":[{{\"pin\":[\"{CANARY}\"]}}]}}");
    let reply = move |status: u16| {
        Reply::status(status)
            .header("set-cookie", &*cookie)
            .header("x-auth-token", CANARY)
            .header("content-type", "application/json")
    };
    ScriptedServer::builder().handler(move |request| match request.path() {
        "/go" => {
            let place = format!("http://user:{CANARY}@b.example/json?code={CANARY}#access_token={CANARY}");
            reply(307).header("location", place)
        }
        "/cut" => reply(200).header("content-length", "1000").body(json.clone()).then_close(),
        "/refused" => reply(401).header("www-authenticate", "Basic").body(json.clone()),
        _ => reply(200).body(json.clone()),
    })
}

/// All that a person could see of an error.
fn shown(error: &Error, out: &mut String) {
    write!(out, "{error} {error:?}").expect("text");
    let mut source = error.source();
    while let Some(error) = source {
        write!(out, "{error} {error:?}").expect("text");
        source = error.source();
    }
}

/// Plays all of it; gives what errors and handles showed.
async fn played(stage: &Stage, env: &Env) -> String {
    let mut seen = String::new();
    let client = Client::builder(env)
        .default_header("x-api-key", CANARY)
        .credentials("http://c.example", Credentials::bearer(&CANARY.into()).expect("a token"))
        .cookies(CookieJar::new())
        .build()
        .expect("a client");
    for path in ["json", "go", "cut", "refused"] {
        for kind in ["application/json", "application/x-www-form-urlencoded"] {
            for host in ["a.example", "c.example"] {
                let url = format!("http://user:{CANARY}@{host}/{path}?token={CANARY}&page=1#{CANARY}");
                let body = match kind {
                    "application/json" => format!("{{\"a\":1,\"pin\":\"{CANARY}\"}}"),
                    _ => format!("password={CANARY}&a=1&pin={CANARY}"),
                };
                let call = client.post(url).header("content-type", kind).header("cookie", format!("own={CANARY}"));
                let call = call.header("referer", format!("http://a.example/?sig={CANARY}"));
                let outcome = call.header("proxy-authorization", format!("Basic {CANARY}")).body(body).send().await;
                let outcome = match outcome {
                    Ok(response) => {
                        write!(seen, "{response:?}").expect("text");
                        response.bytes().await
                    }
                    Err(error) => Err(error),
                };
                if let Err(error) = outcome {
                    shown(&error, &mut seen);
                }
            }
        }
    }
    stage.dialer.fail_next(netcomm_core::ErrorKind::Connect);
    let failed = client.get(format!("http://d.example/?token={CANARY}")).send().await.expect_err("no connection");
    shown(&failed, &mut seen);
    let far = env.with_tap(Tap::off());
    stage.dialer.serve_next(move |io| async move {
        let mut socket = Socket::accept(io, &AcceptOptions::new(&far)).await.expect("open");
        while let Ok(Some(message)) = socket.recv().await {
            drop(socket.send(message).await);
        }
    });
    let url = format!("ws://user:{CANARY}@e.example/live?access_token={CANARY}");
    let connect = Socket::builder(env, url).header("x-api-key", CANARY).header("cookie", format!("a={CANARY}"));
    let mut socket = connect.connect().await.expect("open");
    socket.send(format!("{{\"pin\":\"{CANARY}\"}}")).await.expect("sent");
    socket.recv().await.expect("received");
    write!(seen, "{socket:?} {client:?}").expect("text");
    seen
}

fn careful() -> Redactor {
    Redactor::new().with_body_keys(["pin"])
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_holds_no_secret() {
    let stage = stage(server(), |builder| builder.redactor(careful()));
    let shown = played(&stage, &stage.env).await;
    assert!(!shown.contains(CANARY), "{shown}");
    let entries = stage.recorder.entries();
    assert!(entries.len() >= 18, "{}", entries.len());
    let mut text = format!("{entries:?} {:?}", stage.recorder);
    for entry in &entries {
        let messages = entry.socket.iter().flat_map(|socket| &socket.messages).map(|message| &message.body);
        let bodies = entry.attempts.iter().map(|attempt| &attempt.request_body).chain([&entry.body]).chain(messages);
        for body in bodies {
            text += &String::from_utf8_lossy(body.data());
        }
    }
    assert!(!text.contains(CANARY), "{text}");
    // That it was there shows that it was taken out, and not that nobody looked.
    assert!(text.contains("\"other\":[1]") && text.contains("\"pin\":\"***\""), "{text}");
}

#[cfg(feature = "har")]
#[tokio::test(start_paused = true)]
async fn what_is_exported_holds_no_secret() {
    let stage = stage(server(), |builder| builder.redactor(careful()));
    played(&stage, &stage.env).await;
    let har = stage.recorder.to_har();
    assert!(!har.contains(CANARY), "{har}");
    assert!(har.contains("password=***") && har.contains("token=***"));
}

#[tokio::test(start_paused = true)]
async fn what_is_counted_holds_no_secret() {
    let stage = stage(server(), |builder| builder);
    let stats = Stats::new();
    played(&stage, &stage.env.with_tap(Tap::new(stats.clone()))).await;
    let counted = stats.snapshot();
    let text = format!("{counted:?} {}", counted.to_prometheus());
    assert!(text.contains("a.example") && !text.contains(CANARY), "{text}");
}

#[tokio::test(start_paused = true)]
async fn observations_hold_no_secret_unless_contents_are_asked_for() {
    let stage = stage(server(), |builder| builder);
    for (interest, holds) in [(Interest::ALL, false), (Interest::CONTENT, true)] {
        let seen = CollectingObserver::with_interest(interest);
        played(&stage, &stage.env.with_tap(seen.tap())).await;
        assert!(seen.observations().len() > 50);
        assert_eq!(seen.debug_text().contains(CANARY), holds, "{interest:?}");
    }
}
