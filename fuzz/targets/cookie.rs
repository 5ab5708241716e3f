//! `Set-Cookie` fields of a hostile server: the jar keeps within its limits, gives nothing to strangers, and is the same
//! after it was saved and loaded.
//!
//! Input: lines, each a field; one that begins with `!` turns to another origin first.
#![no_main]

use std::time::{Duration, SystemTime};

use http::{HeaderValue, Uri};
use libfuzzer_sys::fuzz_target;
use netcomm_http::CookieJar;

const PER_SITE: usize = 5;
const TOTAL: usize = 8;
const ORIGINS: [&str; 5] = [
    "https://www.shop.example/cart/list",
    "http://shop.example/",
    "https://a.b.co.uk/x",
    "https://127.0.0.1:8443/x/y",
    "http://localhost/",
];

fuzz_target!(|data: &[u8]| {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    let jar = CookieJar::with_limits(PER_SITE, TOTAL);
    let mut origin = 0;
    for line in data.split(|byte| *byte == b'\n') {
        let field = match line.strip_prefix(b"!") {
            Some(field) => {
                origin = (origin + 1) % ORIGINS.len();
                field
            }
            None => line,
        };
        let Ok(field) = HeaderValue::from_bytes(field) else { continue };
        let before = jar.len();
        let mut refused = 0;
        jar.store(&uri(ORIGINS[origin]), [&field], now, |_| refused += 1);
        assert!(refused <= 1, "one field is refused once");
        assert!(refused == 0 || jar.len() <= before, "refused and kept");
        assert!(jar.len() <= TOTAL, "{} cookies", jar.len());
        assert_eq!(jar.entries().len(), jar.len());
    }
    for stranger in [
        "https://stranger.test/",
        "https://example/",
        "https://co.uk/",
        "https://evilshop.example/",
        "https://10.0.0.1/",
    ] {
        assert_eq!(jar.cookie_header(&uri(stranger), now), None, "{stranger} gets a cookie");
    }
    let saved = jar.to_json_with_session();
    let loaded = CookieJar::from_json(&saved).expect("reads what was written");
    assert_eq!(loaded.entries(), jar.entries(), "{saved}");
    for place in ORIGINS {
        for at in [now, now + Duration::from_secs(3600), now + Duration::from_secs(500 * 24 * 3600)] {
            let header = jar.cookie_header(&uri(place), at);
            assert!(header.as_ref().is_none_or(|value| value.is_sensitive() && !value.is_empty()));
            assert_eq!(loaded.cookie_header(&uri(place), at), header, "{place}: {saved}");
        }
    }
});

fn uri(text: &'static str) -> Uri {
    Uri::from_static(text)
}
