//! Servers that break HTTP/1.1, by malice or by mistake: what the client makes of each is fixed in a [table](rows).
//!
//! Each row is a server that plays its script on the first connection and behaves on all others. After the row's own
//! request a second one is sent, which must get the good answer: nothing of a broken answer may leak into the next call.
//! Everything runs in memory, on paused time, and within a bound of memory.

mod payload;
mod rows;

use std::error::Error as _;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use netcomm_core::{ConnectInfo, Env, Error, ErrorKind, Io, Phase, Policy, Result};
use netcomm_http::Client;
use netcomm_http::testing::{Script, ScriptedServer};
use netcomm_tests::{ScriptedDialer, TokioClock};
use tokio::net::TcpStream;
use tokio::time::Instant;

use rows::rows;

/// What a well-behaved server answers to the second request.
const CLEAN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nclean";

/// The longest that a row may take by the paused clock: the longest of the default limits, and a little.
const MAX_TIME: Duration = Duration::from_secs(65);

/// What client and server together may hold at one time.
const MAX_BYTES: u64 = 12 * 1024 * 1024;

/// A server that misbehaves, and what becomes of a call to it.
struct Row {
    /// The number of the case in the catalogue of bad input.
    number: u8,
    name: &'static str,
    /// What the server does on the first connection.
    script: Script,
    expected: Outcome,
    /// Whether the first connection may carry the second request too.
    reusable: bool,
    policy: Policy,
}

enum Outcome {
    /// An error of one of these kinds.
    Error(&'static [ErrorKind]),
    /// An error of one of these kinds whose text names something.
    ErrorNaming(&'static [ErrorKind], &'static str),
    /// A limit of time in that phase.
    Timeout(Phase),
    /// Success with this body.
    Body(&'static [u8]),
    /// Success with these bytes as the value of a header.
    Header(&'static str, &'static [u8]),
}

/// A row with the default policy, after which the connection must not be used again.
fn row(number: u8, name: &'static str, script: Script, expected: Outcome) -> Row {
    Row { number, name, script, expected, reusable: false, policy: Policy::default() }
}

impl Row {
    /// The connection may be used again.
    fn reusable(self) -> Self {
        Self { reusable: true, ..self }
    }

    /// With other limits than the default ones.
    fn policy(self, policy: Policy) -> Self {
        Self { policy, ..self }
    }
}

/// What a call brought.
struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

async fn call(client: &Client, path: &str) -> Result<Answer> {
    let response = client.get(&*format!("http://bad.example{path}")).send().await?;
    let headers = response.headers().clone();
    Ok(Answer { headers, body: response.bytes().await? })
}

impl Outcome {
    /// What is wrong with the result, if something is.
    fn complaint(&self, result: &Result<Answer>) -> Option<String> {
        let fine = match (self, result) {
            (Self::Error(kinds), Err(error)) => kinds.contains(&error.kind()),
            (Self::ErrorNaming(kinds, text), Err(error)) => {
                kinds.contains(&error.kind()) && shown(error).contains(text)
            }
            (Self::Timeout(phase), Err(error)) => error.kind() == ErrorKind::Timeout && error.phase() == Some(*phase),
            (Self::Body(body), Ok(answer)) => answer.body == *body,
            (Self::Header(name, value), Ok(answer)) => {
                answer.headers.get(*name).is_some_and(|own| {
                    // A value that is no text must say so and not panic.
                    drop(own.to_str().map(str::len));
                    own.as_bytes() == *value
                })
            }
            (Self::Error(_) | Self::ErrorNaming(..) | Self::Timeout(_), Ok(_)) => false,
            (Self::Body(_) | Self::Header(..), Err(_)) => false,
        };
        let got = match result {
            Err(error) => shown(error),
            Ok(answer) => format!("success with {:?} and a body of {} bytes", answer.headers, answer.body.len()),
        };
        (!fine).then(|| format!("expected {}, got {got}", self.text()))
    }

    fn text(&self) -> String {
        match self {
            Self::Error(kinds) => format!("an error of {kinds:?}"),
            Self::ErrorNaming(kinds, text) => format!("an error of {kinds:?} that names {text:?}"),
            Self::Timeout(phase) => format!("a timeout in {phase:?}"),
            Self::Body(body) => format!("the body {:?}", String::from_utf8_lossy(body)),
            Self::Header(name, value) => format!("the header {name} with {value:?}"),
        }
    }
}

/// An error with its causes, in one line.
fn shown(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text += &format!(": {inner}");
        source = inner.source();
    }
    text
}

/// Sends the row's request and the one after it, and gives what was wrong.
async fn play(row: &Row) -> Vec<String> {
    let clean = Script::new().request().send(CLEAN);
    let server = ScriptedServer::builder()
        .on_connect([row.script.clone().then(clean.clone().repeat()), clean.repeat()])
        .offline();
    let dialer = ScriptedDialer::new();
    dialer.serve_all({
        let server = server.clone();
        move |stream| server.serve(stream)
    });
    let env = Env::new(dialer.clone(), TokioClock::new()).with_policy(row.policy.clone());
    let client = Client::builder(&env).build().expect("a client");

    let mut complaints = Vec::new();
    let start = Instant::now();
    let result = call(&client, "/bad").await;
    complaints.extend(row.expected.complaint(&result));
    if start.elapsed() > MAX_TIME {
        complaints.push(format!("took {:?}", start.elapsed()));
    }
    if server.requests().len() > 1 {
        complaints.push(format!("the request was sent {} times", server.requests().len()));
    }
    drop(result);

    match call(&client, "/next").await {
        Ok(answer) if answer.body == "clean" => {}
        Ok(answer) => complaints.push(format!("the next call got {:?}", answer.body)),
        Err(error) => complaints.push(format!("the next call failed: {}", shown(&error))),
    }
    if !row.reusable && server.requests().last().is_none_or(|request| request.connection == 1) {
        complaints.push("the connection was used again".to_owned());
    }
    complaints
}

#[test]
fn every_row_comes_out_as_the_table_says() {
    let mut complaints = Vec::new();
    for row in rows() {
        let mut wrong = Vec::new();
        let memory = allocation_counter::measure(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            wrong = runtime.expect("a runtime").block_on(play(&row));
        });
        if memory.bytes_max > MAX_BYTES {
            wrong.push(format!("held {} bytes at one time", memory.bytes_max));
        }
        complaints.extend(wrong.iter().map(|wrong| format!("{:2} {}: {wrong}", row.number, row.name)));
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// Row 33 with a reset, which needs a socket.
#[tokio::test]
async fn a_reset_is_an_error_and_nothing_is_sent_again() {
    for (name, script) in [
        ("before an answer", Script::new().request().reset()),
        ("in the head", Script::new().request().send("HTTP/1.1 200 OK\r\nX-").reset()),
        ("in the body", Script::new().request().send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf").reset()),
    ] {
        let server = ScriptedServer::builder().on_connect([script]).start().await.expect("a port");
        let address = server.address();
        let dialer = ScriptedDialer::new();
        dialer.with_all(move |_| async move {
            let stream = TcpStream::connect(address).await;
            let stream = stream.map_err(|error| Error::new(ErrorKind::Connect, "dial").with_source(error))?;
            Ok(Io::new(stream, ConnectInfo::default()))
        });
        let env = Env::new(dialer, TokioClock::new());
        let client = Client::builder(&env).build().expect("a client");
        let error = call(&client, "/").await.map(|answer| answer.body).expect_err(name);
        assert!(error.is_closed(), "{name}: {}", shown(&error));
        assert_eq!(server.requests().len(), 1, "{name}");
    }
}
