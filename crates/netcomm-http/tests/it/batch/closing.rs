//! When a batch is sent: by count, by size, by time, when asked to, and when there is a place for it.

use std::time::Duration;

use http::Method;
use netcomm_core::{ErrorKind, Phase, Timeouts};
use netcomm_http::batch::{Batcher, JsonArray};

use super::{URL, answers, ask, ask_all, batcher, echoing, end, errors, received, settle};
use crate::stage::{assert_timeout, timed};

const LONG: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn calls_of_a_moment_become_one_request() {
    let (stage, _) = echoing();
    let batcher = batcher(&stage, |builder| builder);
    let (got, took) = timed(answers(ask_all(&batcher, 0..10))).await;
    assert_eq!(got, Vec::from_iter(0..10));
    assert!((Duration::from_millis(5)..Duration::from_millis(7)).contains(&took), "{took:?}");
    assert_eq!(received(&stage), [Vec::from_iter(0..10)]);
}

#[tokio::test(start_paused = true)]
async fn by_count() {
    let (stage, _) = echoing();
    let batcher = batcher(&stage, |builder| builder.max_calls(4).max_delay(LONG));
    let (got, took) = timed(answers(ask_all(&batcher, 0..8))).await;
    assert_eq!((got, took), (Vec::from_iter(0..8), Duration::ZERO));
    let mut requests = received(&stage);
    requests.sort();
    assert_eq!(requests, [[0, 1, 2, 3], [4, 5, 6, 7]]);
    // One that is not full waits.
    let ((), took) = timed(async { drop(answers(ask_all(&batcher, 0..3)).await) }).await;
    assert!((LONG..LONG * 2).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn by_size() {
    let (stage, _) = echoing();
    // Four digits and a comma each.
    let batcher = batcher(&stage, |builder| builder.max_bytes(10).max_delay(LONG));
    let calls = ask_all(&batcher, 1000..1002);
    assert_eq!(timed(answers(calls)).await, (vec![1000, 1001], Duration::ZERO));
    assert_eq!(received(&stage), [[1000, 1001]]);
    // What does not fit sends what was there, and what is too large for any goes alone at once.
    let calls = vec![ask(&batcher, 7), ask(&batcher, 1_000_000_000), ask(&batcher, 8)];
    settle().await;
    let mut requests = received(&stage);
    requests.sort();
    assert_eq!(requests, [[7], [1_000_000_000]]);
    batcher.flush();
    assert_eq!(answers(calls).await, [7, 1_000_000_000, 8]);
    assert_eq!(received(&stage), [[8]]);
}

#[tokio::test(start_paused = true)]
async fn by_time() {
    let (stage, _) = echoing();
    let batcher = batcher(&stage, |builder| builder.max_delay(Duration::from_secs(10)));
    let start = tokio::time::Instant::now();
    let mut calls = Vec::new();
    for (at, item) in [(0, 1), (4, 2), (9, 3), (11, 4), (20, 5), (22, 6)] {
        tokio::time::sleep_until(start + Duration::from_secs(at)).await;
        calls.push(ask(&batcher, item));
    }
    assert_eq!(answers(calls).await, [1, 2, 3, 4, 5, 6]);
    // The first call of a batch tells when it closes.
    assert_eq!(received(&stage), [vec![1, 2, 3], vec![4, 5], vec![6]]);
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_what_one_task_calls_at_once_goes_together() {
    let (stage, _) = echoing();
    let batcher = batcher(&stage, |builder| builder.max_delay(Duration::ZERO));
    let together = async { tokio::join!(batcher.ask::<u32>(&1), batcher.ask::<u32>(&2), batcher.ask::<u32>(&3)) };
    let ((first, second, third), took) = timed(together).await;
    assert_eq!((first.unwrap(), second.unwrap(), third.unwrap(), took), (1, 2, 3, Duration::ZERO));
    assert_eq!(received(&stage), [[1, 2, 3]]);
    assert_eq!(batcher.ask::<u32>(&4).await.unwrap(), 4);
    assert_eq!(received(&stage), [[4]]);
}

#[tokio::test(start_paused = true)]
async fn when_asked_to() {
    let (stage, _) = echoing();
    let batcher = batcher(&stage, |builder| builder.max_delay(LONG));
    batcher.flush();
    let calls = ask_all(&batcher, 0..3);
    settle().await;
    assert_eq!(received(&stage), [[0; 0]; 0]);
    batcher.flush();
    let later = ask(&batcher, 9);
    assert_eq!(timed(answers(calls)).await, (vec![0, 1, 2], Duration::ZERO));
    assert_eq!(received(&stage), [[0, 1, 2]]);
    assert!(!later.is_finished());
    batcher.clone().flush();
    assert_eq!(end(later).await.unwrap(), 9);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_a_place_goes_on_filling() {
    let (stage, gate) = echoing();
    gate.shut();
    let batcher = batcher(&stage, |builder| builder.max_in_flight(1).max_calls(6));
    let mut calls = vec![ask(&batcher, 0)];
    for item in 1..6 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        calls.push(ask(&batcher, item));
    }
    assert_eq!((stage.server.request_count(), gate.waiting()), (1, 1));
    gate.open();
    assert_eq!(answers(calls).await, [0, 1, 2, 3, 4, 5]);
    assert_eq!(received(&stage), [vec![0], vec![1, 2, 3, 4, 5]]);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_in_flight_than_may_be_and_each_has_its_turn() {
    let (stage, gate) = echoing();
    gate.shut();
    let batcher = batcher(&stage, |builder| builder.max_in_flight(2).max_calls(2));
    let calls = ask_all(&batcher, 0..9);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((stage.server.request_count(), gate.waiting()), (2, 2));
    gate.open();
    assert_eq!(answers(calls).await, Vec::from_iter(0..9));
    let mut requests = received(&stage);
    requests.sort();
    assert_eq!(requests, [vec![0, 1], vec![2, 3], vec![4, 5], vec![6, 7], vec![8]]);
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_place_has_an_end() {
    let (stage, gate) = echoing();
    gate.shut();
    let timeouts = Timeouts::default().with_blocked(Duration::from_secs(7)).with_header(Duration::from_secs(60));
    let batcher = batcher(&stage, |builder| builder.max_in_flight(1).timeouts(timeouts));
    let first = ask(&batcher, 0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (errors, took) = timed(errors(ask_all(&batcher, 1..4))).await;
    assert!((Duration::from_secs(7)..Duration::from_millis(7010)).contains(&took), "{took:?}");
    for error in errors {
        assert_timeout(&error, Phase::Blocked, "blocked");
        assert!(error.is_unsent() && error.is_retryable());
    }
    gate.open();
    assert_eq!(end(first).await.unwrap(), 0);
    assert_eq!(answers(vec![ask(&batcher, 5)]).await, [5]);
    assert_eq!(received(&stage), [[0], [5]]);
}

#[tokio::test(start_paused = true)]
async fn what_every_request_is_like() {
    let (stage, _) = echoing();
    let batcher = batcher(&stage, |builder| {
        builder.method(Method::PUT).header("x-own", "1").header("content-type", "text/plain")
    });
    for _ in 0..2 {
        assert_eq!(batcher.ask::<u32>(&1).await.unwrap(), 1);
        let request = stage.server.take_requests().remove(0);
        assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/batch"));
        assert_eq!(request.header_all("content-type"), ["application/json"]);
        assert_eq!((request.header("x-own"), request.header("accept")), (Some("1"), Some("application/json")));
    }
    // Its handles are one batcher, and another one is another.
    let other = Batcher::builder(&stage.client(), URL, JsonArray::new()).build().unwrap();
    let copy = batcher.clone();
    let (first, second, third) = tokio::join!(batcher.ask::<u32>(&1), copy.ask::<u32>(&2), other.ask::<u32>(&3));
    assert_eq!((first.unwrap(), second.unwrap(), third.unwrap()), (1, 2, 3));
    let mut requests = received(&stage);
    requests.sort();
    assert_eq!(requests, [vec![1, 2], vec![3]]);
}

#[tokio::test]
async fn a_mistake_is_told_when_it_is_built() {
    let (stage, _) = echoing();
    let client = stage.client();
    let build =
        |url: &str, value: &str| Batcher::builder(&client, url, JsonArray::new()).header("x-own", value).build();
    assert!(build(URL, "x").is_ok());
    for (url, value) in [("no url", "x"), (URL, "x\r\ny")] {
        assert_eq!(build(url, value).map(drop).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
