//! Many small calls as one request.

mod closing;
mod codecs;
mod crowd;
mod failing;
mod leaving;

use netcomm_http::batch::{Batcher, BatcherBuilder, JsonArray};
use netcomm_http::testing::{Gate, ReceivedRequest, Reply, ScriptedServer};
use netcomm_http::{Error, Result};
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::stage::{Stage, soon, stage};

const URL: &str = "http://a.example/batch";

fn json(body: impl Into<bytes::Bytes>) -> Reply {
    Reply::status(200).header("content-type", "application/json").body(body)
}

/// An origin that answers each item of an array with itself, once the gate is open.
fn echoing() -> (Stage, Gate) {
    let gate = Gate::new();
    gate.open();
    let held = gate.clone();
    let stage = stage(
        ScriptedServer::builder().handler(move |request: &ReceivedRequest| json(request.body.clone()).held_by(&held)),
    );
    (stage, gate)
}

fn batcher(
    stage: &Stage,
    change: impl FnOnce(BatcherBuilder<JsonArray>) -> BatcherBuilder<JsonArray>,
) -> Batcher<JsonArray> {
    change(Batcher::builder(&stage.client(), URL, JsonArray::new())).build().expect("a batcher")
}

type Call<T> = JoinHandle<Result<T>>;

fn ask(batcher: &Batcher<JsonArray>, item: u32) -> Call<u32> {
    let batcher = batcher.clone();
    tokio::spawn(async move { batcher.ask(&item).await })
}

fn ask_all(batcher: &Batcher<JsonArray>, items: std::ops::Range<u32>) -> Vec<Call<u32>> {
    items.map(|item| ask(batcher, item)).collect()
}

async fn end<T>(call: Call<T>) -> Result<T> {
    soon(call).await.expect("no panic")
}

/// What each of them got.
async fn answers(calls: Vec<Call<u32>>) -> Vec<u32> {
    let mut all = Vec::new();
    for call in calls {
        all.push(end(call).await.expect("an answer"));
    }
    all
}

async fn errors<T: std::fmt::Debug>(calls: Vec<Call<T>>) -> Vec<Error> {
    let mut all = Vec::new();
    for call in calls {
        all.push(end(call).await.expect_err("no answer"));
    }
    all
}

/// The items of each request that came.
fn received(stage: &Stage) -> Vec<Vec<u32>> {
    let items = |request: ReceivedRequest| {
        let body: Value = serde_json::from_slice(&request.body).expect("json");
        let number = |item: &Value| u32::try_from(item.as_u64().expect("a number")).expect("a small one");
        body.as_array().expect("an array").iter().map(number).collect()
    };
    stage.server.take_requests().into_iter().map(items).collect()
}

/// Lets everything run that can without the time moving.
async fn settle() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}
