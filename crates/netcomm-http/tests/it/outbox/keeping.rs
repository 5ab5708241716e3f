//! What is kept, and what comes back after a while.

use bytes::Bytes;
use netcomm_core::is_secret_header;
use netcomm_http::outbox::{Cancellation, KeptState, Outbox};
use netcomm_http::{Body, Client, Credentials, ErrorKind, Secret};

use super::{House, friendly, keep_all};
use crate::stage::CANARY;

#[tokio::test]
async fn what_is_kept_is_there_again_and_sent_as_it_was() {
    let house = friendly();
    let outbox = house.open().await;
    let chunks = ["one ", "two"].map(|chunk| Ok::<_, std::io::Error>(Bytes::from_static(chunk.as_bytes())));
    let request = house
        .client()
        .put("http://a.example/x?y=z")
        .header("x-own", "1")
        .header_append("x-own", "2")
        .body(Body::from_stream(stream(chunks)))
        .build()
        .expect("a request");
    assert_eq!(Outbox::order_key(&request), "http://a.example:80");
    assert!(!outbox.has_pending("http://a.example:80"));
    let ticket = outbox.keep(request, None).await.expect("kept");
    assert!(outbox.has_pending("http://a.example:80") && !outbox.has_pending("http://a.example:81"));
    let own = house.client().delete("http://a.example/d").header("idempotency-key", "mine").build().expect("a request");
    assert_eq!(outbox.keep(own, Some("o")).await.expect("kept").idempotency_key(), "mine");
    let listed = format!("{:?}", outbox.list());
    outbox.close().await;

    let outbox = house.open().await;
    assert_eq!(format!("{:?}", outbox.list()), listed);
    let [first, second] = outbox.list().try_into().expect("two");
    assert_eq!((first.id, &*first.idempotency_key), (ticket.id(), ticket.idempotency_key()));
    assert_eq!((&*first.url, &*first.order_key, first.body_bytes), ("http://a.example/x", "http://a.example:80", 7));
    assert_eq!((first.state, first.attempts, second.body_bytes), (KeptState::Waiting, 0, 0));
    assert_eq!((outbox.len(), outbox.is_empty()), (2, false));
    let _delivery = outbox.deliver(&house.client());
    assert_eq!(house.dialer.dials(), 0, "there is no network");
    house.go_online();
    outbox.drained().await;
    let mut requests = house.server.requests();
    requests.sort_by_key(|request| request.method.clone());
    assert_eq!((&*requests[0].method, &*requests[0].target), ("DELETE", "/d"));
    assert_eq!(requests[0].header("idempotency-key"), Some("mine"));
    let put = &requests[1];
    assert_eq!((&*put.method, &*put.target, &*put.text()), ("PUT", "/x?y=z", "one two"));
    assert_eq!(put.header_all("x-own"), ["1", "2"]);
    assert_eq!(put.header("content-length"), Some("7"));
    assert_eq!(put.header("idempotency-key"), Some(ticket.idempotency_key()));
    assert!(put.header("user-agent").is_some(), "what the client adds is added as it is sent");
    let next = keep_all(&house, &outbox, &[("a", "x")]).await;
    outbox.drained().await;
    assert!(next[0].id() > second.id, "numbers do not come again");
    outbox.close().await;
}

fn stream<T: Send + Unpin + 'static, const N: usize>(items: [T; N]) -> impl futures_core::Stream<Item = T> + Send {
    struct Items<T>(std::vec::IntoIter<T>);
    impl<T: Unpin> futures_core::Stream for Items<T> {
        type Item = T;
        fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<T>> {
            std::task::Poll::Ready(self.0.next())
        }
    }
    Items(Vec::from(items).into_iter())
}

#[tokio::test]
async fn a_directory_has_one_owner() {
    let house = friendly();
    let first = house.open().await;
    let error = Outbox::open(&house.env, house.dir.path()).await.expect_err("in use");
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    first.clone().close().await;
    let second = house.open().await;
    for closed in [first.keep(house.post("http://a.example/", "x"), None).await.expect_err("closed"), {
        first.cancel(1.into()).await.expect_err("closed")
    }] {
        assert_eq!(closed.kind(), ErrorKind::Canceled, "{closed}");
    }
    assert!(first.watch().next().await.is_none());
    first.drained().await;
    let file = house.dir.path().join("lock");
    assert_eq!(Outbox::open(&house.env, file).await.expect_err("no directory").kind(), ErrorKind::Io);
    second.close().await;
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_may_look_inside() {
    use std::os::unix::fs::PermissionsExt;
    let house = friendly();
    let outbox = house.open().await;
    assert_eq!(std::fs::metadata(house.dir.path()).expect("there").permissions().mode() & 0o777, 0o700);
    outbox.close().await;
}

/// The secrets of a client go with each sending and are never on disk; a request's own are refused.
#[tokio::test]
async fn no_secret_is_on_disk_unless_that_is_wanted() {
    let house = friendly();
    let outbox = house.open().await;
    let client = Client::builder(&house.env)
        .default_header("x-api-key", CANARY)
        .secret_header("x-mine")
        .credentials("http://a.example", Credentials::bearer(&Secret::new(CANARY)).expect("a token"))
        .build()
        .expect("client");
    outbox.keep(client.post("http://a.example/").build().expect("a request"), None).await.expect("kept");
    let secrets = || {
        [
            client.post("http://a.example/").bearer_auth(CANARY),
            client.post(format!("http://user:{CANARY}@a.example/")),
            client.post("http://a.example/").header("x-mine", CANARY),
            client.post("http://a.example/").header("cookie", CANARY),
            client.post(format!("http://a.example/?access_token={CANARY}")),
        ]
        .map(|builder| builder.build().expect("a request"))
    };
    for request in secrets() {
        let error = outbox.keep(request, None).await.expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
        assert!(!crate::stage::shown(&error).contains(CANARY));
    }
    let _delivery = outbox.deliver(&client);
    house.go_online();
    outbox.drained().await;
    let sent = &house.server.requests()[0];
    assert_eq!(sent.header("x-api-key"), Some(CANARY));
    assert_eq!(sent.header("authorization"), Some(&*format!("Bearer {CANARY}")));
    outbox.close().await;
    assert!(!house.dir.holds(CANARY.as_bytes()));

    let outbox = house.builder().keep_secrets(true).open().await.expect("opens");
    for request in secrets() {
        let names: Vec<_> = request.headers().keys().filter(|name| is_secret_header(name)).cloned().collect();
        outbox.keep(request, None).await.expect("kept");
        assert!(!format!("{outbox:?} {:?} {names:?}", outbox.list()).contains(CANARY));
    }
    assert!(house.dir.holds(CANARY.as_bytes()));
    outbox.close().await;
}

#[tokio::test]
async fn parts_of_an_outbox_do_not_see_each_other() {
    let house = friendly();
    let outbox = house.open().await;
    let plugin = outbox.partition("plugin");
    let own = keep_all(&house, &outbox, &[("a", "own")]).await;
    let theirs = keep_all(&house, &plugin, &[("a", "theirs"), ("a", "theirs")]).await;
    outbox.close().await;
    let outbox = house.open().await;
    let plugin = outbox.partition("plugin");
    assert_eq!((outbox.len(), plugin.len(), outbox.partition("other").len()), (1, 2, 0));
    assert!(!outbox.partition("other").has_pending("a"));
    assert_eq!(outbox.cancel(theirs[0].id()).await.expect("works"), Cancellation::NotKept);
    assert_eq!(plugin.cancel(own[0].id()).await.expect("works"), Cancellation::NotKept);
    house.go_online();
    let mut watch = plugin.watch();
    let delivery = plugin.deliver(&house.client());
    plugin.drained().await;
    assert_eq!((house.bodies(), outbox.len()), (vec!["theirs".to_owned(); 2], 1));
    delivery.stop().await;
    let _delivery = outbox.deliver(&house.client());
    outbox.drained().await;
    outbox.clone().close().await;
    let mut told = 0;
    while watch.next().await.is_some() {
        told += 1;
    }
    assert_eq!(told, 4, "two times sent and delivered, nothing of the other part");
}

#[test]
fn handles_are_what_handles_are() {
    fn handle<T: Clone + Send + Sync + std::fmt::Debug>() {}
    fn sendable<T: Send + std::fmt::Debug>() {}
    handle::<Outbox>();
    sendable::<netcomm_http::outbox::Delivery>();
    sendable::<netcomm_http::outbox::Watch>();
    fn future<T: Send>(_: impl Fn(House, Outbox) -> T) {}
    future(|house, outbox| async move {
        let request = house.post("http://a.example/", "x");
        drop(outbox.keep(request, None).await);
    });
}
