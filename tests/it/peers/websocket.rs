//! WebSocket against servers that nobody here wrote: Python's package `websockets`, and node's `ws`.

use std::env;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use netcomm_core::{Env, Error, ErrorKind};
use netcomm_dial::{Dialer, Proxies, SystemClock};
use netcomm_ws::{CloseCode, Closer, Connect, Deflate, Heartbeat, Message, Refused, Socket};
use serde_json::{Value, json};

use super::noise;
use super::process::{Folder, Peer, find, skip};

/// Around the bounds of the three forms of a length, of a read, and of a window.
const SIZES: [usize; 9] = [0, 1, 125, 126, 1000, 65_535, 65_536, 65_537, 1024 * 1024];

/// Who answers, as it is installed.
struct Server {
    program: PathBuf,
    script: (&'static str, &'static str),
    node_path: PathBuf,
}

/// Where `cargo xtask setup` puts packages.
fn peers() -> PathBuf {
    env::var_os("NETCOMM_PEERS_DIR")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("peers"), PathBuf::from)
}

impl Server {
    fn python() -> Option<Self> {
        let lib = peers().join("venv/lib");
        let versions = lib.read_dir().ok()?.filter_map(Result::ok);
        let mut packages = versions.map(|version| version.path().join("site-packages/websockets"));
        let script = ("websocket.py", include_str!("websocket.py"));
        let server = Self { program: peers().join("venv/bin/python"), script, node_path: PathBuf::new() };
        packages.any(|package| package.is_dir()).then_some(server)
    }

    fn node() -> Option<Self> {
        let node_path = peers().join("node_modules");
        let script = ("websocket.js", include_str!("websocket.js"));
        node_path.join("ws").is_dir().then_some(Self { program: find("node")?, script, node_path })
    }

    /// Starts it with these parameters of compression, or with none.
    async fn start(&self, compression: &Value) -> Peer {
        let folder = Folder::new();
        let (name, text) = self.script;
        let mut command = Command::new(&self.program);
        command.arg(folder.write(name, text)).arg(compression.to_string()).env("NODE_PATH", &self.node_path);
        Peer::start(folder, command).await
    }
}

fn to(peer: &Peer, path: &str) -> Connect {
    let env = Env::new(Dialer::builder().proxies(Proxies::none()).build(), SystemClock);
    Socket::builder(&env, format!("ws://{}{path}", peer.address()))
}

async fn open(connect: Connect) -> Socket {
    connect.connect().await.expect("a connection")
}

async fn recv(socket: &mut Socket) -> Message {
    socket.recv().await.expect("no error").expect("a message")
}

async fn recv_text(socket: &mut Socket) -> String {
    recv(socket).await.as_text().expect("text").to_owned()
}

/// Text of that many bytes, in characters of one to four of them.
fn text(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes);
    let mut letters = "aé€😀netcomm".chars().cycle();
    while let Some(letter) = letters.next().filter(|letter| text.len() + letter.len_utf8() <= bytes) {
        text.push(letter);
    }
    let rest = "x".repeat(bytes - text.len());
    text + &rest
}

#[test]
fn text_has_the_size_that_was_asked_for() {
    for bytes in SIZES {
        assert_eq!(text(bytes).len(), bytes);
    }
}

/// Sends each size and kind, and takes it back.
async fn echoes(peer: &Peer, deflate: Option<Deflate>, is_compressed: bool, story: &str) {
    for path in ["/echo", "/pieces"] {
        let mut socket = open(to(peer, path).deflate(deflate)).await;
        assert_eq!(socket.is_compressed(), is_compressed, "{story}");
        for bytes in SIZES {
            for message in [Message::text(text(bytes)), Message::binary(noise(bytes))] {
                socket.send(message.clone()).await.expect("sent");
                assert!(recv(&mut socket).await == message, "{story} {path}: {message:?} came back changed");
            }
        }
    }
    let mut socket = open(to(peer, "/extensions").deflate(deflate)).await;
    let extensions = if is_compressed { "permessage-deflate" } else { "" };
    assert_eq!(recv_text(&mut socket).await, extensions, "{story}");
}

async fn messages_come_back_as_they_went(server: &Server) {
    let all = Deflate::new().with_threshold_bytes(0);
    let peer = server.start(&Value::Null).await;
    echoes(&peer, None, false, "nobody compresses").await;
    echoes(&peer, Some(all), false, "the server does not compress").await;
    let peer = server.start(&json!({})).await;
    echoes(&peer, None, false, "the client does not compress").await;
    for (story, deflate) in [
        ("large ones", Deflate::new()),
        ("all", all),
        ("client forgets", all.with_client_no_context_takeover(true)),
        ("server forgets", all.with_server_no_context_takeover(true)),
        ("both forget", all.with_client_no_context_takeover(true).with_server_no_context_takeover(true)),
        ("client's window 9", all.with_client_max_window_bits(Some(9))),
        ("client's window 15", all.with_client_max_window_bits(Some(15))),
        ("server's window 9", all.with_server_max_window_bits(Some(9))),
        ("server's window 15", all.with_server_max_window_bits(Some(15))),
    ] {
        echoes(&peer, Some(deflate), true, story).await;
    }
}

async fn what_the_server_asks_of_compression_is_done(server: &Server) {
    for asked in [
        json!({ "client_no_context_takeover": true }),
        json!({ "server_no_context_takeover": true }),
        json!({ "client_no_context_takeover": true, "server_no_context_takeover": true, "client_max_window_bits": 9 }),
        json!({ "client_max_window_bits": 9 }),
        json!({ "client_max_window_bits": 15 }),
        json!({ "server_max_window_bits": 9, "client_max_window_bits": 9 }),
        json!({ "server_max_window_bits": 15 }),
    ] {
        let peer = server.start(&asked).await;
        echoes(&peer, Some(Deflate::new().with_threshold_bytes(0)), true, &asked.to_string()).await;
    }
}

async fn a_ping_is_answered_while_nobody_looks_for_it(server: &Server) {
    let peer = server.start(&json!({})).await;
    let mut socket = open(to(&peer, "/ping")).await;
    for payload in ["a", "", "the same again"] {
        socket.send(payload).await.expect("sent");
        // The server says so only once it has our pong.
        assert_eq!(recv_text(&mut socket).await, format!("pong {payload}"));
    }
}

async fn the_server_hears_why_we_go(server: &Server) {
    let peer = server.start(&json!({})).await;
    let long = "é".repeat(61) + "!";
    for (code, reason) in [(1000, ""), (1001, "away"), (3000, "registered"), (4999, long.as_str())] {
        let mut socket = open(to(&peer, "/echo")).await;
        let closed = socket.close(CloseCode::new(code), reason).await.expect("a code that may be sent");
        assert_eq!((closed.by, closed.code, closed.clean), (Closer::Us, CloseCode::new(code), true));
        let told = recv_text(&mut open(to(&peer, "/told")).await).await;
        assert_eq!(serde_json::from_str::<Value>(&told).expect("JSON"), json!([code, reason]));
    }
}

async fn we_hear_why_the_server_goes(server: &Server) {
    let peer = server.start(&json!({})).await;
    for (code, reason) in [(1000, ""), (1001, "away"), (1011, "failed"), (1013, "later"), (4999, "private")] {
        let mut socket = open(to(&peer, &format!("/close?code={code}&reason={reason}"))).await;
        assert_eq!(socket.recv().await.expect("no error"), None);
        let closed = socket.closed().expect("it has ended");
        assert_eq!((closed.by, closed.code, closed.clean), (Closer::Peer, CloseCode::new(code), true));
        assert_eq!(closed.reason, reason);
        let error = socket.send("too late").await.expect_err("it has ended");
        assert_eq!(error.kind(), ErrorKind::Closed);
    }
}

async fn the_server_chooses_the_subprotocol(server: &Server) {
    let peer = server.start(&json!({})).await;
    for (offered, chosen) in [
        (&["chat.v1"][..], Some("chat.v1")),
        (&["chat.v1", "chat.v2"], Some("chat.v2")),
        (&["another"], None),
        (&[], None),
    ] {
        let mut socket = open(to(&peer, "/protocol").subprotocols(offered.iter().copied())).await;
        assert_eq!(socket.subprotocol(), chosen, "{offered:?}");
        assert_eq!(recv_text(&mut socket).await, chosen.unwrap_or("none"), "{offered:?}");
    }
    let must = to(&peer, "/protocol").subprotocols(["another"]).require_subprotocol(true);
    assert_eq!(must.connect().await.expect_err("none in common").kind(), ErrorKind::Protocol);
}

async fn a_refusal_tells_why(server: &Server) {
    let peer = server.start(&json!({})).await;
    let error = to(&peer, "/refuse").connect().await.expect_err("a refusal");
    assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(StatusCode::UNAUTHORIZED)));
    let refused = refused(&error);
    assert_eq!(refused.body, Bytes::from_static(b"who are you?\n"));
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
}

fn refused(error: &Error) -> &Refused {
    error.source().and_then(|source| source.downcast_ref()).expect("the server's answer")
}

/// Each story with each server, as a test that is skipped where that server is not installed.
macro_rules! with_both {
    ($($story:ident),+ $(,)?) => {
        mod python {
            $(#[tokio::test]
            async fn $story() {
                match super::Server::python() {
                    Some(server) => super::$story(&server).await,
                    None => super::skip(std::any::type_name_of_val(&|| ()), "no package websockets here"),
                }
            })+
        }

        mod node {
            $(#[tokio::test]
            async fn $story() {
                match super::Server::node() {
                    Some(server) => super::$story(&server).await,
                    None => super::skip(std::any::type_name_of_val(&|| ()), "no node with package ws here"),
                }
            })+
        }
    };
}

with_both! {
    messages_come_back_as_they_went,
    what_the_server_asks_of_compression_is_done,
    a_ping_is_answered_while_nobody_looks_for_it,
    the_server_hears_why_we_go,
    we_hear_why_the_server_goes,
    the_server_chooses_the_subprotocol,
    a_refusal_tells_why,
}

/// Of the two only node tells of pings that it got.
#[tokio::test]
async fn silence_is_broken_by_a_ping() {
    let Some(server) = Server::node() else {
        return skip(std::any::type_name_of_val(&|| ()), "no node with package ws here");
    };
    let peer = server.start(&json!({})).await;
    let heartbeat = Heartbeat::default().interval(Duration::from_millis(10));
    let mut socket = open(to(&peer, "/pinged").heartbeat(heartbeat)).await;
    assert_eq!(recv_text(&mut socket).await, "pinged");
    assert!(socket.rtt().is_some(), "the pong came before that");
}
