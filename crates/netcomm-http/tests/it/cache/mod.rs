//! Stories of responses that are kept: a client with a cache, an origin that counts, and a time that the test moves.

mod confirming;
mod hits;
mod invalidating;
mod modes;
mod opinions;
mod orders;
mod ranges;
mod sharing;
mod stale;
mod storing;
mod variants;
mod within;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderMap;
use netcomm_core::Result;
use netcomm_http::cache::{Cache, CacheStatus};
use netcomm_http::testing::{ReceivedRequest, Reply, Script, ScriptedServer, ScriptedServerBuilder};
use netcomm_http::{Client, RequestBuilder};

use crate::stage::{Stage, soon, stage};

/// A URL of the origin.
const URL: &str = "http://a.example/x";

/// All that came of a call.
struct Got {
    status: u16,
    text: String,
    headers: HeaderMap,
    cache: CacheStatus,
    attempts: usize,
}

impl Got {
    fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// What the cache says that it did, without its name.
    fn told(&self) -> &str {
        self.field("cache-status").expect("a Cache-Status").strip_prefix("netcomm").expect("its name")
    }
}

async fn try_take(call: RequestBuilder) -> Result<Got> {
    soon(Box::pin(async move {
        let response = call.send().await?;
        let (status, headers, attempts) =
            (response.status().as_u16(), response.headers().clone(), response.attempts().len());
        let cache = *response.cache_status().expect("a client with a cache");
        Ok(Got { status, headers, cache, attempts, text: response.text().await? })
    }))
    .await
}

async fn take(call: RequestBuilder) -> Got {
    try_take(call).await.expect("a response")
}

/// A `GET` of the usual URL.
async fn get(client: &Client) -> Got {
    take(client.get(URL)).await
}

/// The text of a `GET` of that URL.
async fn text(client: &Client, url: &str) -> String {
    take(client.get(url)).await.text
}

/// A client with a cache in memory.
fn cached(stage: &Stage) -> Client {
    stage.builder().cache(Cache::memory(1 << 20)).build().expect("a client")
}

/// A reply with these fields, ` | ` between them.
fn reply(status: u16, fields: &str, body: impl Into<bytes::Bytes>) -> Reply {
    let fields = fields.split(" | ").filter(|field| !field.is_empty());
    fields.fold(Reply::status(status).body(body), |reply, field| {
        let (name, value) = field.split_once(':').expect(field);
        reply.header(name, value.trim())
    })
}

/// An origin that answers 200 with these fields and `1`, `2`, ….
fn counting(fields: &'static str) -> ScriptedServerBuilder {
    let count = AtomicUsize::new(0);
    ScriptedServer::builder().handler(move |_: &ReceivedRequest| {
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        reply(200, fields, number.to_string())
    })
}

/// A stage with an origin that answers one call after the other with these; the last one serves all that come after.
fn answering(answers: impl IntoIterator<Item = Reply>) -> Stage {
    let answers: Vec<Script> = answers.into_iter().map(Script::from).collect();
    let count = AtomicUsize::new(0);
    stage(ScriptedServer::builder().handler(move |_: &ReceivedRequest| {
        let number = count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        answers[number].clone()
    }))
}

/// Lets that many seconds pass, on all clocks.
async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

/// The fields of a name in all requests that came.
fn sent(stage: &Stage, name: &str) -> Vec<Option<String>> {
    stage.server.requests().iter().map(|seen| seen.header(name).map(str::to_owned)).collect()
}

/// Lets everything run that can without the time moving.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

/// A client with a cache in that environment.
fn cached_with(env: &netcomm_core::Env) -> Client {
    Client::builder(env).cache(Cache::memory(1 << 20)).build().expect("a client")
}
