//! Calls in any order and at the same time, against a model of the origin.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netcomm_http::testing::{ReceivedRequest, Reply, ScriptedServer, ScriptedServerBuilder};
use netcomm_http::{Client, RequestBuilder};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::cached;
use crate::stage::stage;

const RESOURCES: usize = 2;

/// One call of many.
#[derive(Clone, Debug)]
struct Step {
    /// Seconds since the call before it.
    after: u64,
    /// Seconds that the origin takes.
    takes: u64,
    resource: usize,
    deed: Deed,
    /// Seconds after which the caller has had enough.
    patience: u64,
}

#[derive(Clone, Debug)]
enum Deed {
    Read { lang: u8, size: u8, directive: Option<&'static str>, range: bool },
    Change(&'static str),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let directive = proptest::option::weighted(
        0.2,
        proptest::sample::select(vec!["no-cache", "max-age=1", "max-stale=5", "min-fresh=2", "no-store"]),
    );
    let read = (0..3_u8, 0..2_u8, directive, proptest::bool::weighted(0.2))
        .prop_map(|(lang, size, directive, range)| Deed::Read { lang, size, directive, range });
    let change = proptest::sample::select(vec!["POST", "PUT", "DELETE", "FROB"]).prop_map(Deed::Change);
    let deed = proptest::prop_oneof![5 => read, 1 => change];
    let patience = proptest::prop_oneof![4 => Just(1000), 1 => 0..4_u64];
    let step = (0..3_u64, 0..6_u64, 0..RESOURCES, deed, patience)
        .prop_map(|(after, takes, resource, deed, patience)| Step { after, takes, resource, deed, patience });
    vec(step, 1..40)
}

/// What a client is told: which resource, by which fields it was selected, and its version.
type Told = (usize, String, u64);

/// Tells in each answer what it is the answer to. Its state changes when a request comes, its answers take their time.
fn origin(fields: Vec<String>) -> ScriptedServerBuilder {
    let versions = Mutex::new([0_u64; RESOURCES]);
    ScriptedServer::builder().handler(move |seen: &ReceivedRequest| {
        let resource: usize = seen.path()[1..].parse().expect("a resource");
        let takes = Duration::from_secs(seen.header("x-takes").expect("a time").parse().expect("a number"));
        let mut versions = versions.lock().expect("no panic under the lock");
        if !matches!(seen.method.as_str(), "GET") {
            versions[resource] += 1;
            let version = versions[resource];
            return Reply::status(200).body(format!("{resource}//{version}")).delayed(takes);
        }
        let version = versions[resource];
        let text = |name| seen.header(name).unwrap_or("-").to_owned();
        // The first resource varies by one field, the second one by both.
        let (vary, selected) = match resource {
            0 => ("lang", text("lang")),
            _ => ("lang, size", format!("{} {}", text("lang"), text("size"))),
        };
        let body = format!("{resource}/{selected}/{version}");
        let tag = format!("\"{body}\"");
        let reply = match seen.header("if-none-match").is_some_and(|tags| tags.contains(&tag)) {
            true => Reply::status(304),
            false => match seen.header("range").is_some_and(|range| range == "bytes=0-1") {
                true => Reply::status(206)
                    .header("content-range", format!("bytes 0-1/{}", body.len()))
                    .body(body[..2].to_owned()),
                false => Reply::status(200).body(body),
            },
        };
        let number = version as usize % fields.len();
        reply.header("etag", tag).header("vary", vary).header("cache-control", fields[number].clone()).delayed(takes)
    })
}

fn told(body: &str) -> Told {
    let mut parts = body.split('/');
    let mut next = || parts.next().expect("three parts");
    (next().parse().expect("a resource"), next().to_owned(), next().parse().expect("a version"))
}

fn call(client: &Client, step: &Step) -> RequestBuilder {
    let url = format!("http://a.example/{}", step.resource);
    let method = match &step.deed {
        Deed::Read { .. } => "GET",
        Deed::Change(method) => method,
    };
    let call = client.request(method.parse().expect("a method"), url).header("x-takes", step.takes.to_string());
    let Deed::Read { lang, size, directive, range } = step.deed else { return call };
    let call = if lang > 0 { call.header("lang", lang.to_string()) } else { call };
    let call = if size > 0 { call.header("size", size.to_string()) } else { call };
    let call = if range { call.header("range", "bytes=0-1") } else { call };
    match directive {
        Some(directive) => call.header("cache-control", directive),
        None => call,
    }
}

/// How many calls were answered from store.
async fn play(steps: Vec<Step>, fields: Vec<String>) -> usize {
    let stage = stage(origin(fields));
    let client = cached(&stage);
    // The version of each resource that a change has brought whose answer was read.
    let changed = Arc::new(Mutex::new([0_u64; RESOURCES]));
    // The version that a call has stored, of what is selected so.
    let stored = Arc::new(Mutex::new(HashMap::<(usize, String), u64>::new()));
    let mut calls = Vec::new();
    for step in steps {
        tokio::time::sleep(Duration::from_secs(step.after)).await;
        let (client, changed, stored) = (client.clone(), Arc::clone(&changed), Arc::clone(&stored));
        calls.push(tokio::spawn(async move {
            let known = stored.lock().expect("no panic under the lock").clone();
            let least = changed.lock().expect("no panic under the lock")[step.resource];
            let outcome = tokio::time::timeout(Duration::from_secs(step.patience), async {
                let response = call(&client, &step).send().await.expect("a response");
                let cache = *response.cache_status().expect("a cache");
                (response.status().as_u16(), cache, response.text().await.expect("a body"))
            });
            let Ok((status, cache, body)) = outcome.await else { return false };
            if status == 206 {
                assert_eq!(body, format!("{}/", step.resource), "{step:?}");
                return cache.hit;
            }
            let (resource, selected, version) = told(&body);
            assert_eq!(resource, step.resource, "{step:?} was answered by {body}");
            assert!(version >= least, "{step:?} was answered by {body}, after version {least} was made known");
            match step.deed {
                Deed::Change(_) => {
                    let mut changed = changed.lock().expect("no panic under the lock");
                    changed[resource] = changed[resource].max(version);
                }
                Deed::Read { lang, size, .. } => {
                    let text = |number: u8| if number > 0 { number.to_string() } else { "-".to_owned() };
                    let asked = if resource == 0 { text(lang) } else { format!("{} {}", text(lang), text(size)) };
                    assert_eq!(selected, asked, "{step:?} was answered by {body}");
                    let key = (resource, selected);
                    let before = known.get(&key).copied().unwrap_or_default();
                    assert!(version >= before, "{step:?} was answered by {body}, after version {before} was stored");
                    if cache.stored {
                        let mut stored = stored.lock().expect("no panic under the lock");
                        let newest = stored.entry(key).or_default();
                        *newest = version.max(*newest);
                    }
                }
            }
            cache.hit
        }));
    }
    let mut hits = 0;
    for call in calls {
        hits += usize::from(call.await.expect("no panic"));
    }
    hits
}

#[test]
fn whatever_the_order_of_calls_each_is_given_its_own_and_nothing_that_was_invalidated() {
    let fields = proptest::sample::select(vec![
        "max-age=3",
        "max-age=60",
        "no-cache",
        "no-store",
        "max-age=2, stale-while-revalidate=10",
        "max-age=1, stale-if-error=10",
    ]);
    let config = Config { cases: 300, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, b"netcomm: calls in all orders....");
    let mut runner = TestRunner::new_with_rng(config, rng);
    let cases = (steps(), vec(fields.prop_map(str::to_owned), 1..4));
    let hits = Cell::new(0);
    let outcome = runner.run(&cases, |(steps, fields)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        hits.set(hits.get() + runtime.expect("a runtime").block_on(play(steps, fields)));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
    assert!(hits.get() > 300, "only {} calls were answered from store", hits.get());
}
