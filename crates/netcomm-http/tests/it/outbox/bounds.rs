//! What does not fit, and whose time is over.

use std::time::Duration;

use netcomm_http::ErrorKind;
use netcomm_http::outbox::{End, OutboxEvent};

use super::{friendly, keep_all, outcomes};

#[tokio::test]
async fn what_does_not_fit_is_refused_with_the_bounds_name() {
    let house = friendly();
    let builder = || house.builder().max_calls(3).max_bytes(10_000).max_body_bytes(4_000);
    let outbox = builder().open().await.expect("opens");
    let big = |size: usize| house.client().post("http://a.example/").body(vec![b'x'; size]).build().expect("a request");
    let error = outbox.keep(big(4_001), None).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("max_body_bytes"), "{error}");
    let first = outbox.keep(big(4_000), None).await.expect("fits");
    outbox.keep(big(4_000), None).await.expect("fits");
    for again in 0..2 {
        let error = outbox.keep(big(4_000), None).await.expect_err("full");
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("max_bytes"), "{again}: {error}");
    }
    outbox.keep(big(100), None).await.expect("fits");
    let error = outbox.keep(big(0), None).await.expect_err("full");
    assert!(error.to_string().contains("max_calls"), "{error}");
    outbox.close().await;
    let outbox = builder().open().await.expect("opens");
    assert!(outbox.keep(big(0), None).await.is_err(), "they count again");
    outbox.cancel(first.id()).await.expect("works");
    outbox.keep(big(0), None).await.expect("fits");
    assert_eq!(outbox.len(), 3);
    outbox.close().await;
}

#[tokio::test]
async fn nothing_safe_is_kept() {
    let house = friendly();
    let outbox = house.open().await;
    for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
        let request = house.client().request(method.parse().expect("a method"), "http://a.example/").build();
        let error = outbox.keep(request.expect("a request"), None).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
    let error = outbox.keep(house.post("http://a.example/", "x"), Some(&"k".repeat(2000))).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(outbox.is_empty());
    outbox.close().await;
}

#[tokio::test]
async fn time_runs_out() {
    let house = friendly();
    let outbox = house.builder().expiry(Duration::from_secs(100)).open().await.expect("opens");
    let mut watch = outbox.watch();
    let early = keep_all(&house, &outbox, &[("a", "1"), ("a", "2")]).await;
    house.clock.advance(Duration::from_secs(50));
    let late = keep_all(&house, &outbox, &[("a", "3")]).await;
    let delivery = outbox.deliver(&house.client());
    house.clock.advance(Duration::from_secs(50));
    let over: Vec<_> = outcomes(&mut watch, 2).await;
    assert_eq!(over, [(early[0].id(), "expired".to_owned()), (early[1].id(), "expired".to_owned())]);
    delivery.stop().await;
    let ended = outbox.ended().await.expect("read");
    outbox.close().await;
    let outbox = house.open().await;
    assert_eq!(outbox.ended().await.expect("read"), ended, "whoever asks later learns of them");
    assert_eq!(
        ended.iter().map(|ended| (ended.id, ended.end)).collect::<Vec<_>>(),
        [(early[0].id(), End::Expired), (early[1].id(), End::Expired)]
    );
    assert_eq!((&*ended[0].url, &*ended[0].order_key), ("http://a.example/", "a"));
    assert!(outbox.partition("other").ended().await.expect("read").is_empty());
    outbox.forget(early[0].id()).await.expect("works");
    assert_eq!(outbox.ended().await.expect("read"), ended[1..]);
    let _delivery = outbox.deliver(&house.client());
    house.go_online();
    outbox.drained().await;
    assert_eq!(house.bodies(), ["3"], "{late:?}");
    outbox.close().await;
}

/// Without a delivery nobody looks at the time; room for a new call is a reason to.
#[tokio::test]
async fn what_is_over_makes_room() {
    let house = friendly();
    let outbox = house.builder().max_calls(2).expiry(Duration::from_secs(100)).open().await.expect("opens");
    keep_all(&house, &outbox, &[("a", "1"), ("a", "2")]).await;
    house.clock.advance(Duration::from_secs(100));
    let request = house.post("http://a.example/", "x");
    assert_eq!(outbox.keep(request, None).await.expect_err("full").kind(), ErrorKind::Busy);
    outbox.drained().await;
    keep_all(&house, &outbox, &[("a", "3")]).await;
    outbox.close().await;
}

#[tokio::test]
async fn who_does_not_take_events_is_told_how_many_are_gone() {
    let house = friendly();
    let outbox = house.builder().max_events(4).open().await.expect("opens");
    let mut watch = outbox.watch();
    let calls = [("a", "x"); 10];
    let tickets = keep_all(&house, &outbox, &calls).await;
    let Some(OutboxEvent::Lagged { missed }) = watch.next().await else { panic!("lagged") };
    assert_eq!(missed, 6);
    for ticket in &tickets[6..] {
        let event = watch.next().await;
        assert!(matches!(event, Some(OutboxEvent::Kept { id }) if id == ticket.id()), "{event:?}");
    }
    outbox.close().await;
    assert!(watch.next().await.is_none());
}
