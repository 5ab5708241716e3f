//! Who is sent, when, and what becomes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use netcomm_core::{Clock as _, ErrorKind, Reach};
use netcomm_http::outbox::{Cancellation, End, KeptState, OutboxEvent};
use netcomm_http::testing::{Gate, Reply, Script, ScriptedServer};
use netcomm_http::{Intercept, Next, Offline, Retry};

use super::{friendly, house, keep_all, outcomes};

#[tokio::test]
async fn calls_of_one_key_are_sent_in_order_and_several_keys_at_once() {
    let gate = Gate::new();
    let held = gate.clone();
    let house = house(ScriptedServer::builder().handler(move |_| Reply::status(200).held_by(&held)));
    let outbox = house.open().await;
    let calls = ["a1", "a2", "b1", "a3", "c1", "d1", "e1", "b2", "e2", "a4"];
    let calls: Vec<_> = calls.iter().map(|call| (&call[..1], *call)).collect();
    keep_all(&house, &outbox, &calls).await;
    let _delivery = outbox.deliver(&house.client());
    let _other = outbox.deliver(&house.client());
    house.go_online();
    house.server.until_requests(4).await;
    let mut first = house.bodies();
    first.sort();
    assert_eq!(first, ["a1", "b1", "c1", "d1"], "four at a time, the heads of their keys, the oldest first");
    let sending = outbox.list().iter().filter(|call| call.state == KeptState::Sending).count();
    assert_eq!(sending, 4);
    gate.open();
    outbox.drained().await;
    let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for body in house.bodies() {
        by_key.entry(body[..1].to_owned()).or_default().push(body);
    }
    for (key, bodies) in &by_key {
        assert!(bodies.is_sorted(), "{key}: {bodies:?}");
    }
    assert_eq!(house.bodies().len(), calls.len(), "each once");
    outbox.close().await;
}

#[tokio::test]
async fn a_portal_is_no_network() {
    let house = friendly();
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    keep_all(&house, &outbox, &[("a", "x")]).await;
    let _delivery = outbox.deliver(&house.client());
    house.network.set_reach(Reach::Captive);
    let kept = watch.next().await;
    assert!(matches!(kept, Some(OutboxEvent::Kept { .. })), "{kept:?}");
    house.clock.run_for(Duration::from_secs(3600)).await;
    assert_eq!(house.dialer.dials(), 0);
    house.network.set_reach(Reach::Limited);
    assert!(outcomes(&mut watch, 1).await[0].1.starts_with("delivered"));
    outbox.close().await;
}

#[tokio::test]
async fn a_failed_call_is_sent_again_when_the_server_says_or_the_network_changes() {
    let answers = [
        Reply::status(503).header("retry-after", "120"),
        Reply::status(503).header("retry-after", "999999"),
        Reply::status(500),
        Reply::status(201).body("made"),
    ];
    let house = house(ScriptedServer::builder().route_each("/", answers));
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    let tickets = keep_all(&house, &outbox, &[("a", "x"), ("a", "y")]).await;
    let _delivery = outbox.deliver(&house.client());
    house.go_online();
    for wait in [120, 3600] {
        let again_at = loop {
            if let Some(OutboxEvent::Failed { id, again_at, failure }) = watch.next().await {
                assert_eq!(id, tickets[0].id());
                assert_eq!(failure.status.map(|status| status.as_u16()), Some(503));
                break again_at;
            }
        };
        assert_eq!(again_at, house.clock.wall() + Duration::from_secs(wait), "at most an hour");
        let sent = house.server.request_count();
        house.network.roam();
        house.clock.run_for(Duration::from_secs(wait - 1)).await;
        assert_eq!(house.server.request_count(), sent, "another network does not change what the server wants");
        house.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(outcomes(&mut watch, 1).await, [(tickets[0].id(), "failed 500".to_owned())]);
    let [first, second] = outbox.list().try_into().expect("two");
    assert_eq!((first.attempts, second.attempts), (3, 0));
    let failure = first.last_failure.expect("told");
    assert_eq!(failure.status.map(|status| status.as_u16()), Some(500));
    house.network.roam();
    let told: Vec<_> = outcomes(&mut watch, 2).await.into_iter().map(|(_, told)| told).collect();
    assert_eq!(told, ["delivered 201", "delivered 201"]);
    assert_eq!(house.bodies(), ["x", "x", "x", "x", "y"]);
    let keys: Vec<_> = house.server.requests().iter().map(|r| r.header("idempotency-key").map(str::to_owned)).collect();
    assert!(keys[..4].iter().all(|key| key.as_deref() == Some(tickets[0].idempotency_key())), "{keys:?}");
    outbox.close().await;
}

#[tokio::test]
async fn waits_grow_and_survive_a_restart_where_the_server_asked_for_them() {
    let house = house(ScriptedServer::builder().handler(|_| Reply::status(503).header("retry-after", "600")));
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    // Of two origins: the client itself leaves one alone that has asked for it, whoever calls.
    let mut tickets = Vec::new();
    for url in ["http://a.example/", "http://b.example/"] {
        tickets.push(outbox.keep(house.post(url, "x"), None).await.expect("kept"));
    }
    house.dialer.fail_all(ErrorKind::Connect);
    house.go_online();
    let _delivery = outbox.deliver(&house.client());
    assert_eq!(outcomes(&mut watch, 2).await.len(), 2);
    for bound in [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        // Each of both has waited for less than its bound by then.
        house.clock.advance(Duration::from_secs(bound));
        let mut failed = outcomes(&mut watch, 2).await;
        failed.sort();
        let ids: Vec<_> = failed.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [tickets[0].id(), tickets[1].id()], "{bound}");
    }
    let server = house.server.clone();
    house.dialer.serve_all(move |stream| server.serve(stream));
    house.network.roam();
    let failed = outcomes(&mut watch, 2).await;
    assert!(failed.iter().all(|(_, told)| told == "failed 503"), "{failed:?}");
    let listed = outbox.list();
    outbox.close().await;
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    for (before, now) in listed.iter().zip(outbox.list()) {
        assert_eq!((before.attempts, &before.last_failure), (13, &now.last_failure));
        assert_eq!(now.attempts, 13);
    }
    let _delivery = outbox.deliver(&house.client());
    house.clock.run_for(Duration::from_secs(599)).await;
    assert_eq!(house.server.request_count(), 2);
    house.clock.advance(Duration::from_secs(1));
    assert_eq!(outcomes(&mut watch, 2).await.len(), 2);
    outbox.close().await;
}

#[tokio::test]
async fn what_is_refused_ends_and_the_next_one_goes_on() {
    let answers = [Reply::status(422).header("x-why", "because").body("no such thing"), Reply::status(303)];
    let house = house(ScriptedServer::builder().route_each("/", answers));
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    let tickets = keep_all(&house, &outbox, &[("a", "x"), ("a", "y")]).await;
    let _delivery = outbox.deliver(&house.client());
    house.go_online();
    let (id, failure, answer) = loop {
        if let Some(OutboxEvent::Refused { id, failure, answer }) = watch.next().await {
            break (id, failure, answer.expect("there was one"));
        }
    };
    assert_eq!((id, failure.status.map(|status| status.as_u16())), (tickets[0].id(), Some(422)));
    assert_eq!((&*answer.body, answer.is_whole, answer.status.as_u16()), (&b"no such thing"[..], true, 422));
    assert_eq!(answer.headers["x-why"], "because");
    assert_eq!(outcomes(&mut watch, 1).await, [(tickets[1].id(), "delivered 303".to_owned())]);
    let [ended] = outbox.ended().await.expect("read").try_into().expect("one");
    assert_eq!((ended.id, ended.attempts), (tickets[0].id(), 1));
    assert_eq!(ended.end, End::Refused(Some(answer.status)));
    outbox.close().await;
}

/// A client that tries again and waits for the network by itself does neither for a call that has its place here.
#[tokio::test]
async fn waits_of_the_client_are_not_added_to_those_of_the_outbox() {
    let house = house(ScriptedServer::builder().handler(|_| Reply::status(503)));
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    keep_all(&house, &outbox, &[("a", "x")]).await;
    let client = netcomm_http::Client::builder(&house.env)
        .retry(Retry::default())
        .offline(Offline::WaitUpTo(Duration::from_secs(3600)))
        .build()
        .expect("client");
    let _delivery = outbox.deliver(&client);
    house.go_online();
    assert_eq!(outcomes(&mut watch, 1).await[0].1, "failed 503");
    assert_eq!((house.server.request_count(), outbox.list()[0].attempts), (1, 1));
    outbox.close().await;
}

/// What the client may not do is no matter of time.
#[tokio::test]
async fn what_a_scope_forbids_is_refused() {
    let house = friendly();
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    let tickets = keep_all(&house, &outbox, &[("a", "x")]).await;
    let scope = netcomm_http::Scope::builder("plugin").allow("http://b.example").expect("a pattern").build();
    let _delivery = outbox.deliver(&house.client().scoped(scope));
    house.go_online();
    assert_eq!(outcomes(&mut watch, 1).await, [(tickets[0].id(), "refused 0".to_owned())]);
    assert_eq!(outbox.ended().await.expect("read")[0].end, End::Refused(None));
    assert_eq!(house.dialer.dials(), 0);
    outbox.close().await;
}

/// 409 to a repetition says that the first one is still being worked on.
#[tokio::test]
async fn a_conflict_with_oneself_is_waited_for() {
    let answers =
        [Script::new().reset(), Reply::status(409).into(), Reply::status(200).into(), Reply::status(409).into()];
    let house = house(ScriptedServer::builder().route_each("/", answers));
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    keep_all(&house, &outbox, &[("a", "x"), ("a", "y")]).await;
    let _delivery = outbox.deliver(&house.client());
    house.go_online();
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(outcomes(&mut watch, 1).await.remove(0).1);
        house.clock.advance(Duration::from_secs(2));
    }
    assert_eq!(told, ["failed 0", "failed 409", "delivered 200", "refused 409"]);
    outbox.close().await;
}

#[tokio::test]
async fn an_answer_is_told_as_far_as_may_be() {
    let house = house(ScriptedServer::builder().handler(|_| Reply::status(200).body("0123456789")));
    let outbox = house.builder().max_answer_bytes(4).open().await.expect("opens");
    let mut watch = outbox.watch();
    keep_all(&house, &outbox, &[("a", "x")]).await;
    let _delivery = outbox.deliver(&house.client());
    house.go_online();
    let answer = loop {
        if let Some(OutboxEvent::Delivered { answer, .. }) = watch.next().await {
            break answer;
        }
    };
    assert_eq!((&*answer.body, answer.is_whole), (&b"0123"[..], false));
    outbox.close().await;
}

#[tokio::test]
async fn what_is_called_off_is_not_sent() {
    let house = house(ScriptedServer::builder().handler(|_| Script::new().stall()));
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    let tickets = keep_all(&house, &outbox, &[("a", "1"), ("a", "2"), ("a", "3"), ("a", "4")]).await;
    let cancel = async |at: usize| outbox.cancel(tickets[at].id()).await.expect("works");
    assert_eq!(cancel(1).await, Cancellation::Unsent);
    assert_eq!(cancel(1).await, Cancellation::NotKept);
    let delivery = outbox.deliver(&house.client());
    house.go_online();
    house.server.until_requests(1).await;
    assert_eq!(cancel(0).await, Cancellation::MaybeSent);
    // The next one is sent, and the connection of the one before is closed.
    house.server.until_requests(2).await;
    house.server.until_open(1).await;
    assert_eq!(house.bodies(), ["1", "3"]);
    let told = outcomes(&mut watch, 2).await;
    assert_eq!(told, [(tickets[1].id(), "canceled false".into()), (tickets[0].id(), "canceled true".into())]);
    // A delivery that ends leaves its calls where they are.
    delivery.stop().await;
    house.server.until_open(0).await;
    assert_eq!(outbox.list().iter().map(|call| call.state).collect::<Vec<_>>(), [KeptState::Waiting; 2]);
    assert_eq!(cancel(2).await, Cancellation::MaybeSent);
    outbox.close().await;
    let outbox = house.open().await;
    assert_eq!(outbox.list().len(), 1);
    let unknown = outbox.cancel(tickets[3].id()).await.expect("works");
    assert_eq!(unknown, Cancellation::MaybeSent, "nobody knows what the process before has done");
    assert!(outbox.ended().await.expect("read").is_empty(), "who called them off knows");
    outbox.close().await;
}

#[tokio::test]
async fn a_delivery_that_ended_is_taken_over() {
    let gate = Gate::new();
    let held = gate.clone();
    let house = house(ScriptedServer::builder().handler(move |_| Reply::status(200).held_by(&held)));
    let outbox = house.open().await;
    let tickets = keep_all(&house, &outbox, &[("a", "1")]).await;
    house.go_online();
    let first = outbox.deliver(&house.client());
    house.server.until_requests(1).await;
    let _second = outbox.deliver(&house.client());
    drop(first);
    house.server.until_requests(2).await;
    gate.open();
    outbox.drained().await;
    let requests = house.server.requests();
    assert!(requests.iter().all(|request| request.header("idempotency-key") == Some(tickets[0].idempotency_key())));
    outbox.close().await;
}

struct Panics;

impl Intercept for Panics {
    async fn intercept(
        &self,
        _: http::Request<netcomm_http::Body>,
        _: Next<'_>,
    ) -> netcomm_http::Result<http::Response<netcomm_http::Body>> {
        panic!("as users' code may")
    }
}

#[tokio::test]
async fn code_that_panics_is_not_run_at_once_again() {
    let house = friendly();
    let outbox = house.open().await;
    let mut watch = outbox.watch();
    keep_all(&house, &outbox, &[("a", "1")]).await;
    house.go_online();
    let client = netcomm_http::Client::builder(&house.env).intercept_calls(Panics).build().expect("client");
    let delivery = outbox.deliver(&client);
    assert_eq!(outcomes(&mut watch, 1).await[0].1, "failed 0");
    assert_eq!(outbox.list()[0].state, KeptState::Waiting);
    delivery.stop().await;
    let _delivery = outbox.deliver(&house.client());
    house.clock.advance(Duration::from_secs(1));
    outbox.drained().await;
    outbox.close().await;
}
