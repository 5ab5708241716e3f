//! The tables of what may name what. A new edge is a new word here, for all to see.

pub(super) const FACADE: &str = "netcomm";
/// Whatever the house has.
pub(super) const ALL: &[&str] = &["*"];

/// What a crate may name of the house.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) always: &'static [&'static str],
    /// Only behind a feature.
    pub(super) optional: &'static [&'static str],
}

pub(super) static ROWS: &[Row] = &[
    row("netcomm-core", &[], &[]),
    row("netcomm-dial", &["netcomm-core"], &[]),
    row("netcomm-http", &["netcomm-core"], &["netcomm-dial"]),
    row("netcomm-ws", &["netcomm-core"], &["netcomm-dial"]),
    row("netcomm-sse", &["netcomm-core"], &["netcomm-dial", "netcomm-http", "netcomm-ws"]),
    row("netcomm-monitor", &["netcomm-core"], &["netcomm-dial"]),
    row(FACADE, &["netcomm-core", "netcomm-dial", "netcomm-http", "netcomm-monitor", "netcomm-sse", "netcomm-ws"], &[]),
    row(
        "netcomm-cli",
        &[FACADE, "netcomm-core", "netcomm-dial", "netcomm-http", "netcomm-monitor", "netcomm-sse", "netcomm-ws"],
        &[],
    ),
    row("netcomm-tests", ALL, &[]),
    row("netcomm-bench", ALL, &[]),
    row("xtask", &[], &[]),
];

const fn row(name: &'static str, always: &'static [&'static str], optional: &'static [&'static str]) -> Row {
    Row { name, always, optional }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Terms {
    Any,
    /// Without default features and without any other.
    Bare,
    Optional,
}

/// What the ground may import from outside: its types stand in everybody's signatures.
pub(super) static GROUND: &[(&str, Terms)] = &[
    ("http", Terms::Any),
    ("http-body", Terms::Any),
    // Never in a signature: dates of header fields.
    ("httpdate", Terms::Any),
    ("bytes", Terms::Any),
    ("futures-core", Terms::Any),
    // Never in a signature: it holds what `Text` promises.
    ("bytestring", Terms::Any),
    ("pin-project-lite", Terms::Any),
    ("url", Terms::Any),
    ("tokio", Terms::Bare),
    ("serde", Terms::Optional),
];

/// Libraries that one package alone may name, with the feature if only that is reserved.
pub(super) static RESERVED: &[(&str, Option<&str>, &str)] = &[
    ("fastwebsockets", None, "netcomm-bench"),
    ("http-cache", None, "netcomm-bench"),
    ("http-cache-reqwest", None, "netcomm-bench"),
    ("reqwest", None, "netcomm-bench"),
    ("reqwest-middleware", None, "netcomm-bench"),
    ("reqwest-retry", None, "netcomm-bench"),
    ("if-watch", None, "netcomm-bench"),
    ("eventsource-client", None, "netcomm-bench"),
    ("eventsource-stream", None, "netcomm-bench"),
    ("launchdarkly-sdk-transport", None, "netcomm-bench"),
    ("sse-core", None, "netcomm-bench"),
    ("sse-stream", None, "netcomm-bench"),
    ("tokio-tungstenite", None, "netcomm-bench"),
    ("tokio-websockets", None, "netcomm-bench"),
    ("hyper-util", Some("client-legacy"), "netcomm-bench"),
    ("clap", None, "netcomm-cli"),
    ("ratatui", None, "netcomm-cli"),
    ("indicatif", None, "netcomm-cli"),
];
