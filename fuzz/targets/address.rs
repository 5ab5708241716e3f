//! Addresses: whatever is taken for one is canonical, so that reading the result again changes nothing.
#![no_main]

use std::sync::LazyLock;

use http::Uri;
use libfuzzer_sys::fuzz_target;
use netcomm_core::{Env, ErrorKind, Host};
use netcomm_http::Client;
use netcomm_tests::{ManualClock, ScriptedDialer};

static CLIENTS: LazyLock<[Client; 2]> = LazyLock::new(|| {
    let env = Env::new(ScriptedDialer::new(), ManualClock::new());
    let with_base = Client::builder(&env).base_url("https://base.example/api/");
    [Client::builder(&env).build(), with_base.build()].map(|client| client.expect("a client"))
});

fuzz_target!(|text: &str| {
    for client in &*CLIENTS {
        let first = match client.get(text).build() {
            Ok(request) => request.uri().clone(),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
                continue;
            }
        };
        check(&first);
        let shown = first.to_string();
        assert_eq!(read(client, &shown), first, "read again as text");
        let as_uri = client.get(&first).build().expect("read before as text");
        assert_eq!(*as_uri.uri(), first, "read again as a URI");
        if let Ok(raw) = text.parse::<Uri>()
            && raw.scheme().is_some()
            && let Ok(request) = client.get(&raw).build()
        {
            assert_eq!(*request.uri(), first, "text and URI are read differently");
        }
    }
});

fn read(client: &Client, text: &str) -> Uri {
    let request = client.get(text).build();
    request.unwrap_or_else(|error| panic!("{text:?} is a result but not read again: {error:?}")).uri().clone()
}

fn check(uri: &Uri) {
    assert!(matches!(uri.scheme_str(), Some("http" | "https")), "{uri}");
    let host = uri.host().expect("a host");
    let canonical = Host::parse(host).unwrap_or_else(|error| panic!("{host:?} is no host: {error}"));
    // An IPv6 address that carries an IPv4 one has two spellings, one of URLs and one of addresses.
    if canonical.ip().is_none_or(|ip| ip.is_ipv4()) {
        assert_eq!(canonical.to_string(), host, "not in canonical form");
    }
    let authority = uri.authority().expect("an authority").as_str();
    assert!(!authority.contains('@'), "user information is left: {authority:?}");
    assert!(authority == host || uri.port_u16().is_some(), "the port is no number: {authority:?}");
    assert!(uri.path().starts_with('/'), "{uri}");
    assert!(uri.to_string().bytes().all(|byte| byte > b' ' && byte != b'#'), "{uri}");
}
