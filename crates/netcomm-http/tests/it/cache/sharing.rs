//! Who sees what: users with credentials, handles with a scope, shared caches and those that stand in a role (RFC 9111 §3.5,
//! RFC 9213), and texts for people.

use std::time::Duration;

use netcomm_core::Scope;
use netcomm_http::cache::{Cache, CacheMode, Key};
use netcomm_http::testing::{ReceivedRequest, ScriptedServer};
use netcomm_http::{Client, Credentials};

use super::{URL, answering, cached, counting, get, reply, take, try_take};
use crate::stage::{CANARY, Stage, stage};

const FRESH: &str = "cache-control: max-age=60";

#[tokio::test(start_paused = true)]
async fn a_private_cache_keeps_users_apart() {
    let stage = stage(counting(FRESH));
    let client = cached(&stage);
    for (user, text) in [(None, "1"), (Some("a"), "2"), (Some("b"), "3"), (Some("a"), "2"), (None, "1")] {
        let call = client.get(URL);
        let call = match user {
            Some(user) => call.bearer_auth(user),
            None => call,
        };
        assert_eq!(take(call).await.text, text, "{user:?}");
    }
    // Credentials of the client count as those of the request do.
    let with = |token: &str| {
        client
            .with_credentials("http://a.example", Credentials::bearer(&netcomm_core::Secret::new(token)).unwrap())
            .unwrap()
    };
    assert_eq!(get(&with("a")).await.text, "2");
    assert_eq!(get(&with("c")).await.text, "4");
}

#[tokio::test(start_paused = true)]
async fn a_new_token_is_a_new_user() {
    use netcomm_core::Result;
    use netcomm_http::{ProvideToken, Token};
    struct Numbered;
    impl ProvideToken for Numbered {
        async fn token(&self, rejected: Option<&Token>) -> Result<Token> {
            Ok(Token::new(if rejected.is_some() { "t1" } else { "t0" }))
        }
    }
    let server = ScriptedServer::builder().handler(|seen: &ReceivedRequest| match seen.header("authorization") {
        Some("Bearer t1") => reply(200, FRESH, "in"),
        _ => reply(401, FRESH, "out"),
    });
    let stage = stage(server);
    let builder = stage.builder().cache(Cache::memory(1 << 20));
    let client = builder.credentials("http://a.example", Credentials::provider(Numbered)).build().unwrap();
    assert_eq!(get(&client).await.text, "in");
    assert_eq!(stage.server.request_count(), 2);
    let hit = get(&client).await;
    assert_eq!((hit.text.as_str(), hit.cache.hit), ("in", true));
}

#[tokio::test(start_paused = true)]
async fn variants_of_another_user_are_not_asked_for() {
    let stage = stage(
        ScriptedServer::builder()
            .handler(|_: &ReceivedRequest| reply(200, "cache-control: max-age=60 | etag: \"a\"", "x")),
    );
    let client = cached(&stage);
    for user in ["a", "b"] {
        take(client.get(URL).bearer_auth(user)).await;
    }
    assert_eq!(super::sent(&stage, "if-none-match"), [None, None], "a tag tells what others have seen");
}

fn shared(stage: &Stage) -> Client {
    stage.builder().cache(Cache::builder().shared().build()).build().expect("a client")
}

#[tokio::test(start_paused = true)]
async fn what_a_shared_cache_keeps() {
    for (fields, authorized, kept) in [
        ("cache-control: max-age=9", false, true),
        ("cache-control: max-age=9", true, false),
        ("cache-control: max-age=9, public", true, true),
        ("cache-control: max-age=9, must-revalidate", true, true),
        ("cache-control: s-maxage=9", true, true),
        ("cache-control: max-age=9, private", false, false),
        ("cache-control: max-age=9, private=\"x\"", false, true),
        ("cache-control: s-maxage=0, max-age=9", false, true),
    ] {
        let stage = answering([reply(200, &format!("{fields} | x: 1"), "1")]);
        let client = shared(&stage);
        let call = || if authorized { client.get(URL).bearer_auth("a") } else { client.get(URL) };
        assert_eq!(take(call()).await.cache.stored, kept, "{fields}");
        let again = take(call()).await;
        assert_eq!(again.cache.hit, kept && !fields.contains("s-maxage=0"), "{fields}");
        assert_eq!(again.field("x").is_none(), fields.contains("private=") && again.cache.hit, "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_to_live_gives_no_users_response_to_others() {
    for fields in ["cache-control: private", ""] {
        let stage = stage(counting(fields));
        let client = shared(&stage);
        let of = |user| client.get(URL).bearer_auth(user).cache_ttl(Duration::from_secs(60));
        assert_eq!(take(of("a")).await.text, "1");
        assert_eq!(take(of("b")).await.text, "2", "{fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_has_a_field_of_its_own() {
    let none = Cache::builder().build();
    let cdn = Cache::builder().shared().target("cdn-cache-control").unwrap().build();
    for (fields, plain, targeted) in [
        ("cache-control: no-store | cdn-cache-control: max-age=9", false, true),
        ("cache-control: max-age=9 | cdn-cache-control: no-store", true, false),
        ("cache-control: max-age=9 | cdn-cache-control: max-age=", true, true),
        ("cache-control: no-store | cdn-cache-control: max-age=", false, false),
        ("cache-control: max-age=9 | cdn-cache-control: max-age=0", true, false),
        ("cache-control: max-age=9 | cdn-cache-control: private", true, false),
        ("cdn-cache-control: max-age=9", false, true),
    ] {
        for (cache, hit) in [(&none, plain), (&cdn, targeted)] {
            cache.clear().await;
            let stage = answering([reply(200, fields, "1")]);
            let client = stage.builder().cache(cache.clone()).build().unwrap();
            get(&client).await;
            assert_eq!(get(&client).await.cache.hit, hit, "{fields}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn handles_with_a_scope_have_a_store_of_their_own() {
    let stage = stage(counting(FRESH));
    let client = cached(&stage);
    let scope = |name: &'static str| Scope::builder(name).allow_all().build();
    assert_eq!(get(&client).await.text, "1");
    let (one, two) = (client.scoped(scope("one")), client.scoped(scope("two")));
    assert_eq!((get(&one).await.text, get(&two).await.text), ("2".to_owned(), "3".to_owned()));
    assert_eq!((get(&one.scoped(scope("two"))).await.text, get(&client).await.text), ("4".to_owned(), "1".to_owned()));
    // Nor does it find them by a name.
    for partition in ["", "/", "/two", ":two", "two", "../", "\n", "one"] {
        let call = one.get(URL).cache_partition(partition).cache_mode(CacheMode::OnlyIfCached);
        assert!(try_take(call).await.is_err(), "{partition:?}");
    }
    // What it changes is changed for it alone.
    take(one.delete(URL)).await;
    assert!(get(&client).await.cache.hit && get(&two).await.cache.hit);
    assert!(!get(&one).await.cache.hit);
}

#[tokio::test(start_paused = true)]
async fn a_handle_with_a_scope_does_not_reach_the_whole_cache() {
    let client = cached(&stage(counting(FRESH)));
    assert!(client.cache().is_some());
    assert!(client.scoped(Scope::builder("plugin").allow_all().build()).cache().is_none());
}

#[tokio::test(start_paused = true)]
async fn no_text_for_people_tells_a_secret() {
    let url = format!("http://a.example/x?token={CANARY}");
    let fields = format!("cache-control: max-age=60 | vary: authorization, cookie, x-key | set-cookie: id={CANARY}");
    let server = ScriptedServer::builder().handler(move |_: &ReceivedRequest| reply(200, &fields, CANARY));
    let stage = stage(server);
    let client = stage.builder().cache(Cache::memory(1 << 20)).secret_header("x-key").build().unwrap();
    let call = || client.get(url.as_str()).bearer_auth(CANARY).header("cookie", CANARY).header("x-key", CANARY);
    assert!(take(call()).await.cache.stored);
    assert!(take(call()).await.cache.hit);
    let cache = client.cache().unwrap();
    let listed = cache.list(None, 10).await;
    assert_eq!(listed.len(), 1);
    let (key, variants) = &listed[0];
    let parts = variants[0].parts();
    for shown in [
        format!("{cache:?}"),
        format!("{client:?}"),
        format!("{key:?}"),
        format!("{:?}", variants[0]),
        format!("{parts:?}"),
        format!("{:?}", parts.selecting),
        format!("{:?}", parts.segments),
        format!("{:?}", Key::new("", &url.parse().unwrap())),
        format!("{:?}", cache.stats().await),
        stage.seen.debug_text(),
    ] {
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_of_its_own_that_is_stale_keeps_the_plain_fields_out() {
    let cdn = Cache::builder().shared().target("cdn-cache-control").expect("a name").build();
    // RFC 9213 §2.2: neither Cache-Control nor Expires counts where the targeted field can be read.
    let fields = "cdn-cache-control: max-age=5 | cache-control: max-age=60 | expires: Thu, 01 Jan 2026 01:00:00 GMT";
    let stage = stage(counting(fields));
    let client = stage.builder().cache(cdn).build().unwrap();
    get(&client).await;
    assert_eq!(get(&client).await.told(), "; hit; ttl=5");
    super::pass(5).await;
    assert_eq!(get(&client).await.text, "2");
}

#[tokio::test(start_paused = true)]
async fn a_shared_cache_takes_nothing_stale_for_good_that_it_must_confirm() {
    for (directive, is_shared, answers) in [
        ("proxy-revalidate", false, true),
        ("proxy-revalidate", true, false),
        ("s-maxage=1", false, true),
        ("s-maxage=1", true, false),
        ("must-revalidate", false, false),
    ] {
        let stage = stage(counting(format!("cache-control: max-age=1, {directive}").leak()));
        let client = if is_shared { shared(&stage) } else { cached(&stage) };
        get(&client).await;
        super::pass(5).await;
        let got = take(client.get(URL).header("cache-control", "max-stale")).await;
        assert_eq!(got.cache.hit, answers, "{directive}, shared: {is_shared}");
    }
}
