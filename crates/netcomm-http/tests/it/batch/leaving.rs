//! Callers that go away, before their batch is sent and after.

use std::time::Duration;

use super::{answers, ask, ask_all, batcher, echoing, end, received, settle};
use crate::stage::timed;

#[tokio::test(start_paused = true)]
async fn who_leaves_before_is_left_out() {
    let (stage, _) = echoing();
    let batcher = batcher(&stage, |builder| builder.max_calls(4).max_delay(Duration::from_secs(9)));
    let mut calls = ask_all(&batcher, 0..3);
    settle().await;
    calls.remove(1).abort();
    settle().await;
    // Its room is free again.
    calls.push(ask(&batcher, 3));
    settle().await;
    assert_eq!(stage.server.request_count(), 0);
    calls.push(ask(&batcher, 4));
    assert_eq!(timed(answers(calls)).await, (vec![0, 2, 3, 4], Duration::ZERO));
    assert_eq!(received(&stage), [[0, 2, 3, 4]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_everybody_left_is_not_sent() {
    let (stage, _) = echoing();
    let batcher = batcher(&stage, |builder| builder);
    let calls = ask_all(&batcher, 0..3);
    settle().await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((stage.server.request_count(), stage.dialer.dials()), (0, 0));
    assert_eq!(end(ask(&batcher, 7)).await.unwrap(), 7);
    assert_eq!(received(&stage), [[7]]);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_after_does_not_disturb_the_others() {
    let (stage, gate) = echoing();
    gate.shut();
    let batcher = batcher(&stage, |builder| builder);
    let mut calls = ask_all(&batcher, 0..4);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(gate.waiting(), 1);
    calls.remove(2).abort();
    calls.remove(0).abort();
    settle().await;
    gate.open();
    assert_eq!(answers(calls).await, [1, 3]);
    assert_eq!(received(&stage), [[0, 1, 2, 3]]);
}

#[tokio::test(start_paused = true)]
async fn when_the_last_one_leaves_the_batch_is_called_off() {
    let (stage, gate) = echoing();
    gate.shut();
    let batcher = batcher(&stage, |builder| builder.max_in_flight(1));
    let calls = ask_all(&batcher, 0..3);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((gate.waiting(), stage.dialer.open_connections()), (1, 1));
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    settle().await;
    assert_eq!(stage.dialer.open_connections(), 0);
    // And its place is free.
    gate.open();
    assert_eq!(end(ask(&batcher, 7)).await.unwrap(), 7);
    assert_eq!(received(&stage), [vec![0, 1, 2], vec![7]]);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_waits_for_a_place_can_be_left_too() {
    let (stage, gate) = echoing();
    gate.shut();
    let batcher = batcher(&stage, |builder| builder.max_in_flight(1));
    let first = ask(&batcher, 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut calls = ask_all(&batcher, 1..4);
    tokio::time::sleep(Duration::from_secs(1)).await;
    calls.remove(1).abort();
    settle().await;
    gate.open();
    assert_eq!((end(first).await.unwrap(), answers(calls).await), (0, vec![1, 3]));
    assert_eq!(received(&stage), [vec![0], vec![1, 3]]);
}

#[tokio::test(start_paused = true)]
async fn calls_outlive_the_handles() {
    let (stage, gate) = echoing();
    gate.shut();
    let batcher = batcher(&stage, |builder| builder.max_in_flight(1));
    let mut calls = ask_all(&batcher, 0..2);
    tokio::time::sleep(Duration::from_secs(1)).await;
    calls.extend(ask_all(&batcher, 2..4));
    drop(batcher);
    tokio::time::sleep(Duration::from_secs(1)).await;
    gate.open();
    assert_eq!(answers(calls).await, [0, 1, 2, 3]);
    assert_eq!(received(&stage), [[0, 1], [2, 3]]);
}
