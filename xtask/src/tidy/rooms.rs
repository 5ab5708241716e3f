//! One foreign library, one room: who wants to change a library finds it in one place.

use super::Finding;
use super::code::{blank, is_word, line_of};
use super::tree::Tree;

/// A library as code names it, the crate that may, and the room there: a file or a folder.
static ROOMS: &[(&str, &str, &str)] = &[
    ("rustls", "netcomm-dial", "tls"),
    ("tokio_rustls", "netcomm-dial", "tls"),
    ("rustls_platform_verifier", "netcomm-dial", "tls"),
    ("hickory_resolver", "netcomm-dial", "hickory"),
    ("hyper", "netcomm-http", "conn"),
    ("hyper", "netcomm-ws", "connect/h2"),
    // The server engine of the command's proxy.
    ("hyper", "netcomm-cli", "proxy/serve"),
    // And of its service for contract tests.
    ("hyper", "netcomm-cli", "sse_contract/serve"),
    // Its pictures, and the terminal that they are for.
    ("ratatui", "netcomm-cli", "monitor/screen"),
    ("ratatui", "netcomm-cli", "monitor/terminal"),
    ("hyper_util", "netcomm-http", "conn"),
    ("hyper_util", "netcomm-ws", "connect/h2"),
    ("hyper_util", "netcomm-cli", "proxy/serve"),
    ("hyper_util", "netcomm-cli", "sse_contract/serve"),
    // Its adapters serve the one, its reader of proxy variables the other.
    ("hyper_util", "netcomm-dial", "proxy"),
    ("http_body_util", "netcomm-ws", "connect/h2"),
    ("h2", "netcomm-http", "conn"),
    // A test's server, which is another engine than the client's.
    ("h2", "netcomm-ws", "connect/tests/h2"),
    ("governor", "netcomm-http", "limit/rate"),
    ("psl", "netcomm-http", "cookie"),
    ("async_compression", "netcomm-http", "decode"),
    ("redb", "netcomm-http", "cache/disk/index"),
    ("redb", "netcomm-http", "outbox/store"),
    ("crc32fast", "netcomm-http", "cache/disk"),
    ("crc32fast", "netcomm-http", "octets"),
    ("flate2", "netcomm-ws", "deflate"),
    ("json_patch", "netcomm-sse", "live/patch"),
    ("netlink_sys", "netcomm-monitor", "path/linux"),
    ("netlink_sys", "netcomm-monitor", "transport"),
    ("netlink_packet_core", "netcomm-monitor", "path/linux"),
    ("netlink_packet_core", "netcomm-monitor", "transport"),
    ("netlink_packet_route", "netcomm-monitor", "path/linux"),
    ("netlink_packet_sock_diag", "netcomm-monitor", "transport"),
    ("netwatch", "netcomm-monitor", "path/others"),
    ("metrics", "netcomm-monitor", "stats/metrics"),
    ("opentelemetry", "netcomm-monitor", "stats/opentelemetry"),
    ("tracing", "netcomm-monitor", "trace"),
    ("jiff", "netcomm-monitor", "recorder"),
    ("tower_service", "netcomm-http", "service"),
    ("tower_layer", "netcomm-http", "service"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        // Tests and benchmarks may name what they please.
        let Some((owner, file)) = path.strip_prefix("crates/").and_then(|path| path.split_once("/src/")) else {
            continue;
        };
        let code = blank(text);
        for (at, (library, ..)) in ROOMS.iter().enumerate() {
            if ROOMS[..at].iter().any(|(earlier, ..)| earlier == library) {
                continue;
            }
            let homes = || ROOMS.iter().filter(|(own, ..)| own == library);
            let is_home = homes().any(|(_, home, room)| owner == *home && is_in(file, room));
            if let Some(at) = named(&code, library).filter(|_| !is_home) {
                let homes: Vec<_> = homes().map(|(_, home, room)| format!("{home}'s room `{room}`")).collect();
                let reason = format!("only {} may name {library}", homes.join(" and "));
                findings.push(Finding::at(path, line_of(&code, at), reason));
            }
        }
    }
    findings
}

fn is_in(file: &str, room: &str) -> bool {
    file.strip_prefix(room).is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Where the library is named first: at the head of a path, or in a plain `use`.
///
/// A module or variable of the same name is no library, so the word alone does not count.
fn named(code: &str, library: &str) -> Option<usize> {
    code.match_indices(library).map(|(at, _)| at).find(|at| {
        let (before, after) = (&code[..*at], &code[at + library.len()..]);
        if before.ends_with(is_word) || after.starts_with(is_word) {
            return false;
        }
        let after = after.trim_start();
        if after.starts_with("::") {
            // After another path's `::` it is that path's own; after a bare `::` it is a crate.
            let outer = before.trim_end().strip_suffix("::");
            return outer.is_none_or(|outer| !outer.ends_with(|c: char| is_word(c) || c == '>'));
        }
        let is_use = ["use", "crate"].iter().any(|word| before.trim_end().ends_with(word));
        is_use && (after.starts_with(';') || after.starts_with("as "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_named_in_its_room_alone() {
        let text = "//! Head.\nuse hyper::body::Incoming;\n";
        for path in [
            "crates/netcomm-http/src/conn.rs",
            "crates/netcomm-http/src/conn/h1.rs",
            "crates/netcomm-cli/src/proxy/serve.rs",
        ] {
            assert_eq!(check(&Tree::of(&[(path, text)])), [], "{path}");
        }
        for path in [
            "crates/netcomm-http/src/client.rs",
            "crates/netcomm-http/src/connect.rs",
            "crates/netcomm-dial/src/conn.rs",
            "crates/netcomm-cli/src/proxy/guard.rs",
        ] {
            let findings = check(&Tree::of(&[(path, text)]));
            assert_eq!(findings.len(), 1, "{path}");
            assert_eq!(findings[0].line, Some(2));
        }
        assert_eq!(check(&Tree::of(&[("crates/netcomm-http/tests/it/main.rs", text)])), []);
    }

    #[test]
    fn what_counts_as_naming() {
        for code in [
            "use rustls;",
            "use rustls as tls;",
            "extern crate rustls;",
            "let c = ::rustls::ClientConfig::new();",
            "use {rustls::Error, std::fmt};",
            "fn f(e: rustls :: Error) {}",
        ] {
            assert!(named(code, "rustls").is_some(), "{code}");
        }
        for code in ["use tokio_rustls::X;", "crate::rustls::x()", "let rustls = 1;", "rustls_x::y"] {
            assert!(named(code, "rustls").is_none(), "{code}");
        }
    }
}
