//! Cookies from the response that sets them to the request that carries them, and those that no jar takes.

use netcomm_core::{Event, Scope};
use netcomm_http::testing::{ReceivedRequest, Reply, ScriptedServer};
use netcomm_http::{Client, CookieJar};

use crate::stage::{Stage, soon, stage};

/// A server that sets the cookies of its query, which are separated by `&`; a `+` is a blank.
fn setting() -> (Stage, Client) {
    let stage = stage(ScriptedServer::builder().handler(|seen: &ReceivedRequest| {
        let cookies =
            seen.query().into_iter().flat_map(|query| query.split('&')).map(|cookie| cookie.replace('+', " "));
        let reply = cookies.fold(Reply::status(200), |reply, cookie| reply.header("set-cookie", cookie));
        reply.body("ok")
    }));
    let client = stage.builder().cookies(CookieJar::new()).build().expect("client");
    (stage, client)
}

async fn get(client: &Client, url: &str) {
    let response = soon(client.get(url).send()).await.expect("response");
    drop(response.bytes().await.expect("body"));
}

/// The cookies that went out with the last request, in order of their names.
fn sent(stage: &Stage) -> Vec<String> {
    let requests = stage.server.take_requests();
    let last = requests.last().expect("a request");
    assert!(last.header_all("cookie").len() <= 1, "more than one field");
    let cookies = last.header("cookie").into_iter().flat_map(|line| line.split("; "));
    let mut cookies: Vec<_> = cookies.map(str::to_owned).collect();
    cookies.sort();
    cookies
}

fn refusals(stage: &Stage) -> Vec<(String, &'static str)> {
    let events = stage.seen.take().into_iter().filter_map(|observation| match observation.event {
        Event::CookieRefused { host, reason } => Some((host, reason)),
        _ => None,
    });
    events.collect()
}

#[tokio::test(start_paused = true)]
async fn a_cookie_goes_back_to_the_places_it_was_set_for() {
    let (stage, client) = setting();
    let set =
        "http://www.site.example/set/here?host=1;Path=/&deep=2;Path=/deep&near=3&all=4;Path=/;Domain=site.example";
    get(&client, set).await;
    assert_eq!(sent(&stage), [""; 0]);
    let cases: &[(&str, &[&str])] = &[
        ("http://www.site.example/", &["all=4", "host=1"]),
        ("http://www.site.example/deep/er", &["all=4", "deep=2", "host=1"]),
        ("http://www.site.example/deeper", &["all=4", "host=1"]),
        ("http://www.site.example/set/there", &["all=4", "host=1", "near=3"]),
        ("https://www.site.example:8443/", &["all=4", "host=1"]),
        ("http://api.site.example/", &["all=4"]),
        ("http://site.example/", &["all=4"]),
        ("http://othersite.example/", &[]),
        ("http://site.example.evil.example/", &[]),
    ];
    for (url, expected) in cases {
        get(&client, url).await;
        assert_eq!(sent(&stage), *expected, "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_secure_cookie_never_goes_out_in_the_clear() {
    let (stage, client) = setting();
    get(&client, "https://a.example/?s=1;Secure&__Secure-t=2;Secure&__Host-u=3;Secure;Path=/&plain=4").await;
    get(&client, "http://a.example/").await;
    assert_eq!(sent(&stage), ["plain=4"]);
    get(&client, "https://a.example/").await;
    assert_eq!(sent(&stage), ["__Host-u=3", "__Secure-t=2", "plain=4", "s=1"]);
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_set_is_refused_and_that_is_observed() {
    let cases = [
        ("http://shop.com/", "a=1;Domain=com", "shop.com"),
        ("http://shop.co.uk/", "a=1;Domain=co.uk", "shop.co.uk"),
        ("http://me.github.io/", "a=1;Domain=github.io", "me.github.io"),
        ("http://a.example/", "a=1;Domain=b.example", "a.example"),
        ("http://a.example/", "a=1;Domain=deeper.a.example", "a.example"),
        ("http://127.0.0.1/", "a=1;Domain=0.0.1", "127.0.0.1"),
        ("http://a.example/", "a=1;Secure", "a.example"),
        ("http://a.example/", "__Secure-a=1;Secure", "a.example"),
        ("https://a.example/", "__Secure-a=1", "a.example"),
        ("https://a.example/", "__secure-a=1", "a.example"),
        ("https://a.example/", "__Host-a=1;Secure", "a.example"),
        ("https://a.example/x/", "__Host-a=1;Secure;Path=/x", "a.example"),
        ("https://a.example/", "__Host-a=1;Secure;Path=/;Domain=a.example", "a.example"),
        ("https://a.example/", "__Host-a=1;Path=/", "a.example"),
    ];
    for (url, cookie, host) in cases {
        let (stage, client) = setting();
        // Without a path of its own the cookie has the directory of the request's: that is not `Path=/` either.
        let url = format!("{url}{}?{cookie}", if cookie == "__Host-a=1;Secure" { "x/y" } else { "" });
        get(&client, &url).await;
        assert!(client.cookies().expect("a jar").is_empty(), "{url}");
        let refused = refusals(&stage);
        assert_eq!(refused.len(), 1, "{url}");
        assert!(refused[0].0 == host && !refused[0].1.is_empty(), "{url}: {refused:?}");
        get(&client, &url).await;
        assert_eq!(sent(&stage), [""; 0], "{url}");
    }
}

#[tokio::test(start_paused = true)]
async fn thousands_of_cookies_stay_within_bounds() {
    let (stage, client) = setting();
    let jar = client.cookies().expect("a jar").clone();
    let fifty = |round: usize| (0..50).map(|n| format!("c{round}x{n}=1")).collect::<Vec<_>>().join("&");
    for round in 0..100 {
        get(&client, &format!("http://a.example/?{}", fifty(round))).await;
        assert!(jar.len() <= 180, "{}", jar.len());
    }
    get(&client, "http://a.example/").await;
    let last = sent(&stage);
    assert!((50..=180).contains(&last.len()), "{}", last.len());
    assert!(last.contains(&"c99x49=1".to_owned()), "the newest was dropped");

    for round in 0..100 {
        get(&client, &format!("http://site{round}.example/?{}", fifty(round))).await;
        assert!(jar.len() <= 3000, "{}", jar.len());
    }
    assert!(jar.len() > 1000, "{}", jar.len());
}

#[tokio::test(start_paused = true)]
async fn a_cookie_set_by_a_redirect_is_sent_on_the_next_hop() {
    let stage = stage(
        ScriptedServer::builder()
            .route("/login", Reply::status(303).header("location", "/home").header("set-cookie", "sid=7; Path=/"))
            .route("/leave", Reply::status(302).header("location", "http://b.example/"))
            .handler(|_| Reply::status(200).body("ok")),
    );
    let client = stage.builder().cookies(CookieJar::new()).build().expect("client");
    get(&client, "http://a.example/login").await;
    assert_eq!(sent(&stage), ["sid=7"]);
    get(&client, "http://a.example/leave").await;
    assert_eq!(sent(&stage), [""; 0], "a cookie crossed to another host");
}

#[tokio::test(start_paused = true)]
async fn a_scoped_handle_has_a_jar_of_its_own() {
    let (stage, client) = setting();
    get(&client, "http://a.example/?own=1").await;
    let scoped = client.scoped(Scope::unlimited());
    assert!(scoped.cookies().is_some_and(CookieJar::is_empty));
    get(&scoped, "http://a.example/?scoped=2").await;
    assert_eq!(sent(&stage), [""; 0]);
    get(&scoped, "http://a.example/").await;
    assert_eq!(sent(&stage), ["scoped=2"]);
    get(&client.clone(), "http://a.example/").await;
    assert_eq!(sent(&stage), ["own=1"]);
}

#[tokio::test(start_paused = true)]
async fn a_requests_own_cookies_take_the_place_of_the_jars() {
    let (stage, client) = setting();
    get(&client, "http://a.example/?jar=1").await;
    soon(client.get("http://a.example/").header("cookie", "own=2").send()).await.expect("response");
    assert_eq!(sent(&stage), ["own=2"]);
}

#[tokio::test(start_paused = true)]
async fn a_cookie_ends_when_its_time_is_over_or_its_server_says_so() {
    let (stage, client) = setting();
    get(&client, "http://a.example/?short=1;Max-Age=60&long=2;Max-Age=600&gone=3").await;
    get(&client, "http://a.example/?gone=;Max-Age=0").await;
    tokio::time::advance(std::time::Duration::from_secs(61)).await;
    get(&client, "http://a.example/").await;
    assert_eq!(sent(&stage), ["long=2"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_jar_nothing_is_kept() {
    let (stage, _) = setting();
    let client = stage.client();
    get(&client, "http://a.example/?a=1").await;
    get(&client, "http://a.example/").await;
    assert!(client.cookies().is_none());
    assert_eq!(sent(&stage), [""; 0]);
}
