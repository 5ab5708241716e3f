//! The picture on a terminal: what it shows, what keys do, and how the terminal is left behind.

use netcomm::http::testing::{Reply, ScriptedServer};
use rustix::process::Signal;

use super::pty::Pty;
use crate::stage::{CANARY, Folder, friendly, start};

const SIZE: (u16, u16) = (110, 36);

/// The monitor, on a terminal.
fn monitor(words: &str, variables: &[(&str, &str)], size: (u16, u16)) -> Pty {
    let always = ["monitor", "--ignore-paths", "--private-hosts", "--every", "100ms"];
    Pty::start(env!("CARGO_BIN_EXE_netcomm"), always.into_iter().chain(words.split_whitespace()), variables, size)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_seen_and_looked_into() {
    let server = ScriptedServer::builder()
        .handler(|_| Reply::status(200).header("x-kind", "friendly").header("set-cookie", "s=hunter2").body("hello"));
    let server = start(server).await;
    let mut pty = monitor(&server.url("/seen?token=hunter2"), &[], SIZE);
    pty.until_all(&["/seen", " ONLINE ", "[traffic]", "round trip, ms", " of 100"]);
    pty.press("\r");
    let text = pty.until_all(&["x-kind: friendly", "wait", "█", "hello"]);
    assert!(!text.contains(CANARY), "{text}");
    // Esc closes that first.
    pty.press("\x1b");
    pty.until("[traffic]");
    pty.press("q");
    let (status, text) = pty.end();
    assert!(status.success() && !text.contains("/seen"), "{status}: {text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_filter_halt_and_explain() {
    let server = ScriptedServer::builder().route("/one", Reply::status(200)).route("/two", Reply::status(503));
    let server = start(server).await;
    let mut pty = monitor(&format!("{} {}", server.url("/one"), server.url("/two")), &[], SIZE);
    pty.until_all(&["/one", "/two"]);
    pty.press("/status:5");
    pty.until_it("no /one", |screen| !screen.contents().contains("/one"));
    pty.press("\r");
    pty.until("filter status:5");
    pty.press("?");
    pty.until("probe now");
    pty.press("?");
    pty.until("[traffic]");
    pty.press(" ");
    pty.until("PAUSED");
    pty.press(" p");
    pty.until("no --probe");
    pty.press("\t");
    pty.until("[origins]");
    pty.press("\x03");
    let (status, _) = pty.end();
    assert!(status.success(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn h_writes_what_was_recorded() {
    let (folder, server) = (Folder::new(), friendly().await);
    let file = folder.path("x.har");
    let mut pty = monitor(&format!("--har {} {}", file.display(), server.url("/seen")), &[], SIZE);
    pty.until("/seen");
    pty.press("h");
    pty.until("written to ");
    assert!(String::from_utf8_lossy(&folder.read("x.har")).contains("/seen"));
    pty.press("q");
    assert!(pty.end().0.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_leave_the_terminal_as_it_was() {
    let server = friendly().await;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut pty = monitor(&server.url("/seen"), &[], SIZE);
        pty.until("/seen");
        pty.signal(signal);
        assert_eq!(pty.end().0.code(), Some(code));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_terminal_that_grows_and_has_no_colours() {
    let server = friendly().await;
    let mut pty = monitor(&server.url("/seen"), &[("NO_COLOR", "1")], (40, 10));
    let text = pty.until_all(&["/seen", "ONLINE"]);
    assert!(!text.contains("round trip"), "{text}");
    let cells = (0..10).flat_map(|row| (0..40).map(move |column| (row, column)));
    let colours = cells.filter_map(|(row, column)| pty.screen().cell(row, column)).map(|cell| cell.fgcolor());
    assert!(colours.into_iter().all(|colour| colour == vt100::Color::Default));
    pty.resize((120, 40));
    pty.until("round trip, ms");
    pty.press("q");
    assert!(pty.end().0.success());
}
