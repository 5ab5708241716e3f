//! Calls that say that they may be kept: what is made, what is kept, and what the caller sees of it.

use netcomm_core::{ErrorKind, Reach, Stage};
use netcomm_http::testing::{Reply, Script, ScriptedServer};
use netcomm_http::{Client, Offline, Scope};

use super::{House, friendly, house};

async fn client_of(house: &House) -> Client {
    Client::builder(&house.env).outbox(house.open().await).offline(Offline::Outbox).build().expect("client")
}

async fn close(client: Client) {
    let outbox = client.outbox().expect("an outbox").clone();
    drop(client);
    outbox.close().await;
}

#[tokio::test]
async fn a_call_without_a_network_is_kept_and_delivered_later() {
    let house = friendly();
    let client = client_of(&house).await;
    let response = client.post("http://a.example/").body("x").send().await.expect("kept");
    let ticket = response.queued().expect("a receipt").clone();
    assert_eq!((response.status().as_u16(), response.attempts().len()), (202, 0));
    let outbox = client.outbox().expect("an outbox").clone();
    assert_eq!((outbox.list()[0].id, house.dialer.dials()), (ticket.id(), 0));
    let _delivery = outbox.deliver(&client);
    house.go_online();
    outbox.drained().await;
    let requests = house.server.requests();
    assert_eq!((requests.len(), requests[0].text().as_str()), (1, "x"));
    assert_eq!(requests[0].header("idempotency-key"), Some(ticket.idempotency_key()));
    close(client).await;
}

#[tokio::test]
async fn a_call_with_a_network_is_made_with_a_key_and_answered() {
    let house = friendly();
    house.go_online();
    let client = client_of(&house).await;
    let response = client.post("http://a.example/").body("x").send().await.expect("a response");
    assert_eq!(response.status().as_u16(), 200);
    assert!(response.queued().is_none() && client.outbox().is_some_and(|outbox| outbox.is_empty()));
    assert!(house.server.requests()[0].header("idempotency-key").is_some());
    close(client).await;
}

#[tokio::test]
async fn what_may_pass_is_kept_with_the_key_that_was_sent_and_what_lasts_is_told() {
    let house = house(ScriptedServer::builder().handler(|request| match request.path() {
        "/cut" => Script::new().reset(),
        path => Script::from(Reply::status(path[1..].parse().expect("a status"))),
    }));
    house.go_online();
    for (path, kept) in [("503", true), ("429", true), ("cut", true), ("404", false), ("409", false), ("501", false)] {
        let client = client_of(&house).await;
        let url = format!("http://a.example/{path}");
        let response = client.post(url.as_str()).body("x").send().await.expect("a response");
        assert_eq!(response.queued().is_some(), kept, "{path}");
        if let Some(ticket) = response.queued() {
            let requests = house.server.take_requests();
            assert_eq!(requests[0].header("idempotency-key"), Some(ticket.idempotency_key()));
            let outbox = client.outbox().expect("an outbox");
            outbox.cancel(ticket.id()).await.expect("canceled");
        }
        close(client).await;
    }
}

#[tokio::test]
async fn calls_queue_behind_earlier_ones_of_their_order() {
    let house = friendly();
    let client = client_of(&house).await;
    client.post("http://a.example/").body("1").send().await.expect("kept");
    house.go_online();
    let second = client.post("http://a.example/").body("2").send().await.expect("kept");
    assert!(second.queued().is_some(), "it must not overtake");
    let other = client.post("http://a.example/").body("other").outbox_order("other").send().await.expect("made");
    assert!(other.queued().is_none());
    let elsewhere = client.post("http://b.example/").body("b").send().await.expect("made");
    assert!(elsewhere.queued().is_none());
    let outbox = client.outbox().expect("an outbox").clone();
    let _delivery = outbox.deliver(&client);
    outbox.drained().await;
    assert_eq!(house.bodies(), ["other", "b", "1", "2"]);
    let third = client.post("http://a.example/").body("3").send().await.expect("made");
    assert!(third.queued().is_none());
    close(client).await;
}

#[tokio::test]
async fn calls_that_change_nothing_and_those_with_secrets_are_not_kept() {
    let house = friendly();
    let client = client_of(&house).await;
    let error = client.get("http://a.example/").send().await.expect_err("no network");
    assert_eq!((error.kind(), error.stage()), (ErrorKind::Offline, Some(Stage::Offline)));
    let error = client.post("http://a.example/").bearer_auth("hunter2").send().await.expect_err("a secret");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let request = client.post("http://a.example/").body("x").offline(Offline::Fail);
    assert_eq!(request.send().await.expect_err("no network").kind(), ErrorKind::Offline);
    assert!(client.outbox().is_some_and(|outbox| outbox.is_empty()) && !house.dir.holds(b"hunter2"));
    close(client).await;
    let error = house.client().post("http://a.example/").offline(Offline::Outbox).send().await;
    assert_eq!(error.expect_err("no outbox").kind(), ErrorKind::Offline);
}

#[tokio::test]
async fn a_full_outbox_tells_of_itself_and_of_what_failed() {
    let house = friendly();
    let outbox = house.builder().max_calls(1).open().await.expect("opens");
    let client = Client::builder(&house.env).outbox(outbox).offline(Offline::Outbox).build().expect("client");
    client.post("http://a.example/").body("1").send().await.expect("kept");
    let error = client.post("http://b.example/").body("2").send().await.expect_err("full");
    assert_eq!(error.kind(), ErrorKind::Busy);
    let source = std::error::Error::source(&error).expect("what failed").to_string();
    assert!(source.contains("there is no network"), "{source}");
    close(client).await;
}

#[tokio::test]
async fn a_scoped_handle_has_a_part_of_its_own_that_is_sent_with_its_own_rights() {
    let house = friendly();
    let client = client_of(&house).await;
    let scope = Scope::builder("plugin").allow("http://a.example/").expect("a pattern").build();
    let plugin = client.scoped(scope.clone());
    let receipt = plugin.post("http://a.example/").body("x").send().await.expect("kept");
    assert!(receipt.queued().is_some());
    let denied = plugin.post("http://b.example/").body("x").send().await.expect_err("not its place");
    assert_eq!(denied.kind(), ErrorKind::Denied);
    assert_eq!((client.outbox().unwrap().len(), plugin.outbox().unwrap().len()), (0, 1));
    let _application = client.outbox().unwrap().deliver(&client);
    house.go_online();
    client.post("http://a.example/").body("own").send().await.expect("made");
    assert_eq!(house.bodies(), ["own"], "what the plugin keeps is not sent by the application");
    scope.revoke();
    let _delivery = plugin.outbox().unwrap().deliver(&plugin);
    plugin.outbox().unwrap().drained().await;
    assert_eq!(house.bodies(), ["own"], "a right that was taken back sends nothing any more");
    assert_eq!(house.env.connectivity().current().reach, Reach::Online);
    drop(plugin);
    close(client).await;
}
