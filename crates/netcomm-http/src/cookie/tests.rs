//! What is kept of cookies, and to whom they go.

use proptest::prelude::{any, proptest};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// 2026-01-01.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

fn uri(text: &str) -> Uri {
    text.parse().expect(text)
}

/// Sets one cookie; why it was refused, if it was.
fn set_at(jar: &CookieJar, from: &str, field: &str, now: SystemTime) -> Option<&'static str> {
    let field = HeaderValue::from_bytes(field.as_bytes()).expect("a header value");
    let mut refused = None;
    jar.store(&uri(from), [&field], now, |reason| refused = Some(reason));
    refused
}

fn set(jar: &CookieJar, from: &str, field: &str) -> Option<&'static str> {
    set_at(jar, from, field, now())
}

fn sent_at(jar: &CookieJar, to: &str, now: SystemTime) -> String {
    let header = jar.cookie_header(&uri(to), now);
    header.map_or_else(String::new, |value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn sent(jar: &CookieJar, to: &str) -> String {
    sent_at(jar, to, now())
}

#[test]
fn what_is_refused_and_why() {
    let long = "x".repeat(4096);
    for (from, field, expected) in [
        ("https://a.example/", "a=b", None),
        ("https://a.example/", "", Some("no name")),
        ("https://a.example/", "a", Some("no name")),
        ("https://a.example/", "=b", Some("no name")),
        ("https://a.example/", " =b", Some("no name")),
        ("https://a.example/", "a=", None),
        ("https://a.example/", &format!("{}=", &long), None),
        ("https://a.example/", &format!("a={long}"), Some("too large")),
        ("/relative", "a=b", Some("no host")),
        // Domain.
        ("https://www.a.example/", "a=b; Domain=a.example", None),
        ("https://www.a.example/", "a=b; Domain=.A.Example", None),
        ("https://www.a.example/", "a=b; Domain=", None),
        ("https://www.a.example/", "a=b; Domain=b.example; Domain=a.example", None),
        ("https://www.a.example/", "a=b; Domain=b.example", Some("domain mismatch")),
        ("https://www.a.example/", "a=b; Domain=x.www.a.example", Some("domain mismatch")),
        ("https://www.a.example/", "a=b; Domain=ww.a.example", Some("domain mismatch")),
        ("https://bad-a.example/", "a=b; Domain=a.example", Some("domain mismatch")),
        ("https://a.example/", "a=b; Domain=a.example.", Some("malformed domain")),
        ("https://a.example/", "a=b; Domain=a..example", Some("malformed domain")),
        ("https://a.example/", "a=b; Domain=\u{e4}.example", Some("malformed domain")),
        ("https://a.example/", "a=b; Domain=%61.example", Some("malformed domain")),
        // Public suffixes, of registries and of companies, and names that no list knows.
        ("https://a.example/", "a=b; Domain=example", Some("public suffix")),
        ("https://a.co.uk/", "a=b; Domain=co.uk", Some("public suffix")),
        ("https://a.co.uk/", "a=b; Domain=uk", Some("public suffix")),
        ("https://me.github.io/", "a=b; Domain=github.io", Some("public suffix")),
        ("https://a.xn--55qx5d.cn/", "a=b; Domain=xn--55qx5d.cn", Some("public suffix")),
        ("https://github.io/", "a=b; Domain=github.io", None),
        ("https://localhost/", "a=b; Domain=localhost", None),
        ("https://db.internal/", "a=b; Domain=internal", Some("public suffix")),
        // Addresses.
        ("https://127.0.0.1/", "a=b; Domain=127.0.0.1", None),
        ("https://[::1]/", "a=b; Domain=[::1]", None),
        ("https://127.0.0.1/", "a=b; Domain=0.0.1", Some("domain mismatch")),
        ("https://127.0.0.1/", "a=b; Domain=1", Some("domain mismatch")),
        // Secure.
        ("http://a.example/", "a=b; Secure", Some("secure cookie over a clear connection")),
        ("http://localhost/", "a=b; secure", Some("secure cookie over a clear connection")),
        ("wss://a.example/", "a=b; Secure", None),
        // Prefixes.
        ("https://a.example/", "__Secure-a=b; Secure", None),
        ("https://a.example/", "__secure-a=b", Some("__Secure- without Secure")),
        ("https://a.example/", "__Host-a=b; Secure; Path=/", None),
        ("https://a.example/", "__Host-a=b; Secure; Path=/; Domain=", None),
    ] {
        assert_eq!(set(&CookieJar::new(), from, field), expected, "{from} {field}");
    }
    for field in [
        "__Host-a=b; Path=/",
        "__Host-a=b; Secure",
        "__HOST-a=b; Secure",
        "__Host-a=b; Secure; Path=/x",
        "__Host-a=b; Secure; Path=/; Domain=a.example",
    ] {
        let refused = set(&CookieJar::new(), "https://a.example/", field);
        assert!(refused.is_some_and(|reason| reason.starts_with("__Host-")), "{field}");
    }
    let path = format!("https://a.example/{long}/");
    assert_eq!(set(&CookieJar::new(), &path, "a=b"), Some("path too long"));
    // A header value cannot hold them; other sources could.
    for field in [&b"a=\0"[..], b"a=b\r\nx: y", b"a=b; Path=/\x7f"] {
        assert_eq!(SetCookie::parse(field).err(), Some("control character"));
    }
    assert!(SetCookie::parse(b"a=b\tc").is_ok());
}

#[test]
fn who_gets_what() {
    let jar = CookieJar::new();
    for (from, field) in [
        ("https://www.a.example/x/y", "host=1"),
        ("https://www.a.example/x/y", "site=1; Domain=a.example; Path=/"),
        ("https://www.a.example/x/y", "secure=1; Secure; Path=/"),
        ("http://10.0.0.1/", "ip=1"),
        ("http://[::1]/", "ip=6"),
    ] {
        assert_eq!(set(&jar, from, field), None, "{field}");
    }
    for (to, expected) in [
        ("https://www.a.example/x/z", "host=1; site=1; secure=1"),
        ("https://WWW.A.EXAMPLE./x", "host=1; site=1; secure=1"),
        ("https://www.a.example:8443/x", "host=1; site=1; secure=1"),
        ("http://www.a.example/x/", "host=1; site=1"),
        ("ws://www.a.example/x/", "host=1; site=1"),
        ("wss://www.a.example/", "site=1; secure=1"),
        ("http://www.a.example/xy", "site=1"),
        ("http://www.a.example", "site=1"),
        ("http://a.example/x", "site=1"),
        ("http://sub.www.a.example/x", "site=1"),
        ("http://aa.example/", ""),
        ("http://example/", ""),
        ("http://10.0.0.1/x", "ip=1"),
        ("http://0x0a.1/x", "ip=1"),
        ("http://110.0.0.1/x", ""),
        ("http://[0::1]/", "ip=6"),
        ("/", ""),
    ] {
        assert_eq!(sent(&jar, to), expected, "{to}");
    }
    let header = jar.cookie_header(&uri("http://a.example/"), now()).expect("one");
    assert!(header.is_sensitive());
}

#[test]
fn paths() {
    for (from, field, path) in [
        ("http://a.example", "a=b", "/"),
        ("http://a.example/", "a=b", "/"),
        ("http://a.example/x", "a=b", "/"),
        ("http://a.example/x/", "a=b", "/x"),
        ("http://a.example/x/y?z=/q/", "a=b", "/x"),
        ("http://a.example/x/y", "a=b; Path=", "/x"),
        ("http://a.example/x/y", "a=b; Path=z", "/x"),
        ("http://a.example/x/y", "a=b; Path=/z; Path=", "/x"),
        ("http://a.example/x/y", "a=b; path = /other ", "/other"),
        ("http://a.example/x/y", &format!("a=b; Path=/{}", "z".repeat(1024)), "/x"),
    ] {
        let jar = CookieJar::new();
        assert_eq!(set(&jar, from, field), None);
        assert_eq!(jar.entries()[0].1, path, "{from} {field}");
    }
    for (request, cookie, expected) in [
        ("/", "/", true),
        ("/a", "/", true),
        ("/a", "/a", true),
        ("/a/", "/a", true),
        ("/a/b", "/a", true),
        ("/a/b", "/a/", true),
        ("/ab", "/a", false),
        ("/a", "/a/", false),
        ("/", "/a", false),
        ("/A", "/a", false),
    ] {
        assert_eq!(path_matches(request, cookie), expected, "{request} {cookie}");
    }
}

#[test]
fn longer_paths_first_then_older_cookies() {
    let jar = CookieJar::new();
    for field in ["a=1; Path=/", "b=1; Path=/x", "c=1; Path=/x/y", "d=1; Path=/x", "e=1; Path=/"] {
        assert_eq!(set(&jar, "http://a.example/", field), None);
    }
    assert_eq!(sent(&jar, "http://a.example/x/y/z"), "c=1; b=1; d=1; a=1; e=1");
    // A new value does not change the place.
    assert_eq!(set(&jar, "http://a.example/", "b=2; Path=/x"), None);
    assert_eq!(sent(&jar, "http://a.example/x"), "b=2; d=1; a=1; e=1");
}

#[test]
fn lives_end() {
    for (field, lives, ends) in [
        ("a=b", Some(4000 * DAY), None),
        ("a=b; Max-Age=86400", Some(DAY / 2), Some(DAY)),
        ("a=b; Max-Age=1; Max-Age=x; Max-Age=+1; Max-Age", None, Some(DAY)),
        ("a=b; Max-Age=0", None, Some(Duration::ZERO)),
        ("a=b; Max-Age=-0", None, Some(Duration::ZERO)),
        ("a=b; Max-Age=-99999999999999999999999", None, Some(Duration::ZERO)),
        ("a=b; Max-Age=99999999999999999999999", Some(399 * DAY), Some(400 * DAY)),
        ("a=b; Expires=Fri, 02 Jan 2026 00:00:00 GMT", Some(DAY / 2), Some(DAY)),
        ("a=b; Expires=Fri, 02 Jan 2026 00:00:00 GMT; Max-Age=172800", Some(DAY), Some(2 * DAY)),
        ("a=b; Expires=Fri, 31-Dec-9999 23:59:59 GMT", Some(399 * DAY), Some(400 * DAY)),
        ("a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None, Some(Duration::ZERO)),
        ("a=b; Expires=Sat, 01 Jan 1600 00:00:00 GMT", Some(4000 * DAY), None),
        ("a=b; Expires=soon", Some(4000 * DAY), None),
    ] {
        let jar = CookieJar::new();
        assert_eq!(set(&jar, "http://a.example/", field), None);
        if let Some(lives) = lives {
            assert_eq!(sent_at(&jar, "http://a.example/", now() + lives), "a=b", "{field}");
        }
        if let Some(ends) = ends {
            assert_eq!(sent_at(&jar, "http://a.example/", now() + ends), "", "{field}");
            assert!(jar.is_empty(), "{field}");
        }
    }
}

#[test]
fn an_expired_cookie_removes_only_its_like() {
    let jar = CookieJar::new();
    for field in ["a=1", "a=2; Path=/x", "a=3; Domain=a.example", "b=4"] {
        assert_eq!(set(&jar, "http://a.example/", field), None);
    }
    assert_eq!(set(&jar, "http://a.example/", "a=; Max-Age=0"), None);
    assert_eq!(sent(&jar, "http://a.example/x"), "a=2; a=3; b=4");
    assert_eq!(set(&jar, "http://a.example/", "nobody=; Max-Age=0"), None);
    assert_eq!(jar.len(), 3);
}

#[test]
fn a_clear_connection_cannot_touch_secure_cookies() {
    let jar = CookieJar::new();
    assert_eq!(set(&jar, "https://www.a.example/", "id=1; Secure; Path=/login"), None);
    let hides = Some("would hide a secure cookie");
    for (from, field, expected) in [
        ("http://www.a.example/", "id=2; Path=/login", hides),
        ("http://www.a.example/", "id=2; Path=/login/en; Domain=a.example", hides),
        ("http://www.a.example/", "id=; Path=/login; Max-Age=0", hides),
        ("http://x.www.a.example/", "id=2; Path=/login", hides),
        ("http://a.example/", "id=2; Path=/login", hides),
        ("http://www.a.example/", "id=2; Path=/", None),
        ("http://b.a.example/", "id=2; Path=/login", None),
        ("http://www.a.example/", "other=2; Path=/login", None),
    ] {
        assert_eq!(set(&jar, from, field), expected, "{from} {field}");
    }
    assert_eq!(sent(&jar, "https://www.a.example/login"), "id=1; other=2; id=2");
    assert_eq!(set(&jar, "https://www.a.example/", "id=3; Path=/login"), None);
    assert_eq!(sent(&jar, "http://www.a.example/login"), "id=3; other=2; id=2");
}

#[test]
fn five_thousand_cookies() {
    let jar = CookieJar::new();
    for n in 0..5000 {
        let from = format!("http://h{}.a.example/", n % 100);
        assert_eq!(set(&jar, &from, &format!("c{n}=x; Domain=a.example")), None);
    }
    assert_eq!(jar.len(), PER_SITE);
    assert_eq!(sent(&jar, "http://a.example/").split("; ").next(), Some("c4820=x"));
    for n in 0..5000 {
        assert_eq!(set(&jar, &format!("http://a{n}.example/"), "a=b"), None);
    }
    assert_eq!(jar.len(), TOTAL);
    assert_eq!(sent(&jar, "http://a.example/"), "");
    assert_eq!(sent(&jar, "http://a1999.example/"), "");
    assert_eq!(sent(&jar, "http://a2000.example/"), "a=b");
    jar.clear();
    assert!(jar.is_empty());
}

#[test]
fn who_goes_first() {
    let jar = CookieJar::with_limits(3, 4);
    let from = "https://a.example/";
    for field in ["s=1; Secure", "old=1; Path=/x", "dead=1; Max-Age=1"] {
        assert_eq!(set(&jar, from, field), None);
    }
    // The expired one, although it is not the oldest.
    let later = now() + DAY;
    assert_eq!(set_at(&jar, from, "new=1; Path=/x", later), None);
    assert_eq!(sent_at(&jar, "https://a.example/x", later), "old=1; new=1; s=1");
    // Of those not marked as secure the one used least recently.
    assert_eq!(set_at(&jar, from, "old=2; Path=/x", later), None);
    assert_eq!(set_at(&jar, from, "newest=1; Path=/x", later), None);
    assert_eq!(sent_at(&jar, "https://a.example/x", later), "old=2; newest=1; s=1");
    // Over all sites the one used least recently, one by one.
    assert_eq!(set_at(&jar, "http://b.example/", "b=1", later), None);
    assert_eq!(sent_at(&jar, "https://a.example/", later), "s=1");
    assert_eq!(set_at(&jar, "http://c.example/", "c=1", later), None);
    assert_eq!(jar.len(), 4);
    assert_eq!(sent_at(&jar, "https://a.example/x", later), "newest=1; s=1");
    for (per_site, total) in [(0, 10), (10, 0)] {
        let jar = CookieJar::with_limits(per_site, total);
        assert_eq!(set(&jar, from, "a=b"), None);
        assert!(jar.is_empty());
    }
}

#[test]
fn values_are_bytes_and_stay_as_they_are() {
    let jar = CookieJar::new();
    let field = HeaderValue::from_bytes(b"a= \"x\xff=y, z\t\" ;Max-Age=9").expect("a header value");
    jar.store(&uri("http://a.example/"), [&field], now(), |reason| panic!("{reason}"));
    let expected = b"a=\"x\xff=y, z\t\"";
    for jar in [jar.clone(), CookieJar::from_json(&jar.to_json()).expect("own text")] {
        let header = jar.cookie_header(&uri("http://a.example/"), now()).expect("one");
        assert_eq!(header.as_bytes(), expected);
    }
    let field = HeaderValue::from_bytes(b"\xff=x").expect("a header value");
    let mut refused = None;
    jar.store(&uri("http://a.example/"), [&field], now(), |reason| refused = Some(reason));
    assert_eq!(refused, Some("name is not utf-8"));
}

#[test]
fn dates_as_servers_write_them() {
    let expected = Some(now() - DAY + Duration::from_secs(45_296));
    for text in [
        "Wed, 31 Dec 2025 12:34:56 GMT",
        "Wed, 31-Dec-25 12:34:56 GMT",
        "Wed Dec 31 12:34:56 2025",
        "Wednesday, 31-Dec-2025 12:34:56 UTC",
        "31 dec 2025 12:34:56",
        "2025 31 DECEMBER 12:34:56.789Z",
        "12:34:56 31 Decx 25th",
        "Sun, 31 Dec 2025 12:34:56 -0800 (PST)",
    ] {
        assert_eq!(parse_date(text.as_bytes()), expected, "{text}");
    }
    assert_eq!(parse_date(b"1 Jan 69 00:00:00"), parse_date(b"1 Jan 2069 00:00:00"));
    assert_eq!(parse_date(b"1 Jan 70 00:00:00"), Some(SystemTime::UNIX_EPOCH));
    assert_eq!(parse_date(b"1 Jan 1601 00:00:00"), Some(SystemTime::UNIX_EPOCH));
    for text in [
        "",
        "31 Dec 2025",
        "31 2025 12:34:56",
        "Dec 2025 12:34:56",
        "31 Dec 12:34:56",
        "31 Dec 2025 24:00:00",
        "31 Dec 2025 12:60:00",
        "31 Dec 2025 12:00:60",
        "31 Dec 2025 12:00",
        "31 Dec 2025 123:00:00",
        "0 Dec 2025 12:34:56",
        "31 Nov 2025 12:34:56",
        "29 Feb 2025 12:34:56",
        "29 Feb 2100 12:34:56",
        "31 Dec 1600 12:34:56",
        "31 Dec 20255 12:34:56",
        "2025-12-31T12:34:56Z",
    ] {
        assert_eq!(parse_date(text.as_bytes()), None, "{text}");
    }
    assert!(parse_date(b"29 Feb 2000 0:0:0").is_some());
}

#[test]
fn days_follow_one_another() {
    let mut days = days_since_epoch(1601, 1, 1);
    assert_eq!(days, -134_774);
    for year in 1601..2500 {
        for month in 1..=12 {
            for day in 1..=days_in_month(year, month) {
                assert_eq!(days_since_epoch(year, month, day), days, "{year}-{month}-{day}");
                days += 1;
            }
        }
    }
    assert_eq!(days_since_epoch(1970, 1, 1), 0);
    assert_eq!(days_since_epoch(9999, 12, 31), 2_932_896);
}

#[test]
fn storing_and_loading() {
    let jar = CookieJar::new();
    for (from, field) in [
        ("https://a.example/", "later=1; Max-Age=86400; Path=/"),
        ("https://a.example/", "__Host-s=2; Max-Age=86400; Path=/; Secure"),
        ("https://www.a.example/", "site=3; Max-Age=86400; Domain=a.example"),
        ("https://[::1]/", "ip=4; Max-Age=86400"),
        ("https://a.example/", "session=5"),
    ] {
        assert_eq!(set(&jar, from, field), None);
    }
    let copy = CookieJar::from_json(&jar.to_json()).expect("own text");
    assert_eq!(copy.len(), 4);
    assert_eq!(sent(&copy, "https://a.example/"), "later=1; __Host-s=2; site=3");
    assert_eq!(sent(&copy, "http://www.a.example/"), "site=3");
    assert_eq!(sent(&copy, "https://[::1]/"), "ip=4");
    assert_eq!(copy.to_json(), jar.to_json());
    let copy = CookieJar::from_json(&jar.to_json_with_session()).expect("own text");
    assert_eq!(copy.entries(), jar.entries());
    assert_eq!(sent_at(&copy, "https://a.example/", now() + DAY), "session=5");
}

#[test]
fn what_no_server_could_have_set_is_not_loaded() {
    let load = |change: &str, to: &str| {
        let good = r#"{"cookies":[{"domain":"a.example","host_only":false,"path":"/","name":"n","value":"v","secure":true,"expires":null}]}"#;
        assert!(change.is_empty() || good.contains(change), "{change}");
        CookieJar::from_json(&good.replacen(change, to, 1)).map(|jar| jar.len())
    };
    assert!(matches!(load("", ""), Ok(1)));
    for (change, to) in [
        ("a.example", "co.uk"),
        ("a.example", "A.example"),
        ("a.example", "127.0.0.1"),
        ("a.example", ""),
        ("\"n\"", "\"\""),
        ("\"n\"", "\"a=b\""),
        ("\"n\"", "\"a;b\""),
        ("\"n\"", "\"__Host-n\""),
        ("\"v\"", "\"v\\r\\nx: y\""),
        ("\"v\"", "[59]"),
        ("\"/\"", "\"x\""),
        ("null", "18446744073709551615"),
    ] {
        assert!(matches!(load(change, to), Ok(0)), "{change} {to}");
    }
    for (change, to) in [("null", "\"hunter2\""), ("\"v\"", "7"), ("{", "[")] {
        let error = load(change, to).expect_err(to);
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(!format!("{error:?} {error}").contains("hunter2"));
    }
}

#[test]
fn debug_shows_no_value() {
    let jar = CookieJar::new();
    set(&jar, "http://a.example/", "id=hunter2");
    assert_eq!(format!("{jar:?}"), "CookieJar { sites: 1, cookies: 1, .. }");
    assert_eq!(jar.entries(), [("a.example".to_owned(), "/".to_owned(), "id".to_owned())]);
}

#[test]
fn clones_share_and_the_lock_is_free_while_reasons_are_told() {
    let jar = CookieJar::new();
    let clone = jar.clone();
    let fields = ["a=1", "=2", "b=3"].map(HeaderValue::from_static);
    let mut seen = Vec::new();
    jar.store(&uri("http://a.example/"), &fields, now(), |reason| seen.push((reason, clone.len())));
    assert_eq!(seen, [("no name", 1)]);
    assert_eq!(clone.len(), 2);
}

proptest! {
    #[test]
    fn no_field_panics_and_what_is_sent_is_a_header(
        field in proptest::collection::vec(any::<u8>(), 0..80),
        host in "[a-z]{1,3}\\.(co\\.uk|example|github\\.io)",
    ) {
        let jar = CookieJar::new();
        let uri = uri(&format!("https://{host}/"));
        if let Ok(value) = HeaderValue::from_bytes(&[b"a=", &field[..]].concat()) {
            jar.store(&uri, [&value], now(), |_| {});
            if !jar.is_empty() {
                proptest::prop_assert_eq!(jar.entries().len(), 1);
                let saved = CookieJar::from_json(&jar.to_json_with_session()).expect("own text");
                proptest::prop_assert_eq!(saved.entries(), jar.entries());
            }
        }
    }

    #[test]
    fn no_date_panics(text in "[0-9: ,a-zA-Z-]{0,40}") {
        let _ = parse_date(text.as_bytes());
    }
}
