//! Patterns and hosts: what is displayed parses to the same again, and a pattern that names a host matches no other.
//!
//! Input: a pattern, and after a line end each: a host, a path.
#![no_main]

use libfuzzer_sys::fuzz_target;
use netcomm_core::{Host, Pattern};

fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let pattern = lines.next().unwrap_or("");
    let host = lines.next().unwrap_or(pattern);
    let path = lines.next().unwrap_or("/");
    let parsed_host = check_host(host);
    let Ok(pattern) = pattern.parse::<Pattern>() else { return };
    let shown = pattern.to_string();
    let again: Pattern = shown.parse().unwrap_or_else(|error| panic!("{shown:?} is shown but not read: {error}"));
    assert_eq!(again, pattern, "shown as {shown:?}");
    assert_eq!(again.to_string(), shown, "shown otherwise the second time");

    let own = host_part(&shown);
    for (scheme, port) in [("https", 443), ("http", 80), ("wss", 443), ("https", 8443)] {
        let matches = pattern.matches(scheme, host, port, path);
        assert_eq!(matches, again.matches(scheme, host, port, path), "{shown:?} matches otherwise when read again");
        if !matches {
            continue;
        }
        let Some(host) = &parsed_host else { panic!("{shown:?} matches {host:?}, which is no host") };
        match (own.strip_prefix('*'), host) {
            (Some(""), Host::Name(_)) => {}
            (Some(suffix), Host::Name(name)) => {
                assert!(name.len() > suffix.len() && name.ends_with(suffix), "{shown:?} matches {name:?}");
            }
            (Some(_), address) => panic!("{shown:?} matches the address {address}"),
            (None, host) => assert_eq!(host.to_string(), own, "{shown:?} matches {host}"),
        }
    }
});

fn check_host(text: &str) -> Option<Host> {
    let host = Host::parse(text);
    if Host::is_canonical(text) {
        assert_eq!(host.as_ref().ok().map(Host::to_string).as_deref(), Some(text), "{text:?} is said to be canonical");
    }
    let host = host.ok()?;
    let shown = host.to_string();
    let again = Host::parse(&shown).unwrap_or_else(|error| panic!("{shown:?} is shown but not read: {error}"));
    assert_eq!(again, host, "shown as {shown:?}");
    Some(host)
}

/// The host of a pattern as it is displayed.
fn host_part(shown: &str) -> &str {
    let rest = shown.split_once("://").map_or(shown, |(_, rest)| rest);
    let rest = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let end = if rest.starts_with('[') {
        rest.find(']').map_or(rest.len(), |at| at + 1)
    } else {
        rest.find(':').unwrap_or(rest.len())
    };
    &rest[..end]
}
