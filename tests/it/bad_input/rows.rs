//! The table.
//!
//! Where the catalogue leaves a choice, this is the one made:
//!
//! | row | choice |
//! |---|---|
//! | 1 | equal lengths are one length |
//! | 6 | chunked wins over a length; the connection is not used again |
//! | 23 | bytes beyond ASCII in a value are bytes |
//! | 27 | a head with bare line feeds is read |
//! | 36 | two layers of a coding are decoded |
//! | 40 | junk after the end of a coding is an error |

use std::time::Duration;

use bytes::Bytes;
use netcomm_core::ErrorKind::{Closed, Decode, Incomplete, Protocol, Redirect, TooLarge, Unsupported};
use netcomm_core::{Phase, Policy, Timeouts};
use netcomm_http::testing::Script;

use super::payload::{bomb, coded, gzip, gzip_layers};
use super::{Outcome, Row, row};

const PROTOCOL: Outcome = Outcome::Error(&[Protocol]);
/// Either says it: the peer broke the protocol by being too long.
const TOO_LONG: Outcome = Outcome::Error(&[Protocol, TooLarge]);
const HELLO: Outcome = Outcome::Body(b"hello");

/// Reads the request, sends this, and leaves the connection open: the client must know by itself.
fn answer(bytes: impl Into<Bytes>) -> Script {
    Script::new().request().send(bytes)
}

/// The same, and closes the connection.
fn answer_and_close(bytes: impl Into<Bytes>) -> Script {
    answer(bytes).close()
}

/// A whole answer whose head has these lines, with the body `hello`.
fn with_lines(lines: &str) -> Script {
    answer(format!("HTTP/1.1 200 OK\r\n{lines}\r\nContent-Length: 5\r\n\r\nhello"))
}

/// An answer that is chunked, with these bytes in the place of the chunks.
fn chunked(chunks: &str) -> Script {
    answer(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}"))
}

/// A fifth of a second between the bytes.
fn dripping(bytes: impl Into<Bytes>) -> Script {
    Script::new().request().send_in_pieces(bytes, 1, Duration::from_millis(200))
}

pub(super) fn rows() -> Vec<Row> {
    [lengths(), chunks(), heads(), statuses(), times(), ends(), codings()].into_iter().flatten().collect()
}

fn lengths() -> Vec<Row> {
    let length = |value: &str| answer(format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\nhello"));
    vec![
        row(1, "two equal Content-Length", with_lines("Content-Length: 5"), HELLO).reusable(),
        row(2, "two different Content-Length", with_lines("Content-Length: 6"), PROTOCOL),
        row(2, "two different lengths in one field", length("5, 6"), PROTOCOL),
        row(3, "Content-Length with a plus", length("+5"), PROTOCOL),
        row(4, "negative Content-Length", length("-2"), PROTOCOL),
        row(5, "Content-Length of 23 digits", length("99999999999999999999999"), TOO_LONG),
        row(
            6,
            "Content-Length and chunked",
            answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
            HELLO,
        ),
        row(
            7,
            "unknown Transfer-Encoding",
            answer_and_close("HTTP/1.1 200 OK\r\nTransfer-Encoding: banana\r\n\r\nhello"),
            Outcome::Error(&[Protocol, Unsupported]),
        ),
        row(
            8,
            "body shorter than its length",
            answer_and_close("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"),
            Outcome::Error(&[Incomplete]),
        ),
    ]
}

fn chunks() -> Vec<Row> {
    let trailers: String = (0..5000).map(|number| format!("t{number}: x\r\n")).collect();
    vec![
        row(9, "chunk size ZZ", chunked("ZZ\r\nhello\r\n0\r\n\r\n"), PROTOCOL),
        row(9, "negative chunk size", chunked("-5\r\nhello\r\n0\r\n\r\n"), PROTOCOL),
        row(9, "empty chunk size", chunked("\r\nhello\r\n0\r\n\r\n"), PROTOCOL),
        row(9, "chunk longer than its size", chunked("2\r\nhello\r\n0\r\n\r\n"), PROTOCOL),
        row(10, "chunk size overflow", chunked("FFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"), TOO_LONG),
        row(11, "chunked, cut off in a chunk", chunked("A\r\nhello").close(), Outcome::Error(&[Incomplete])),
        row(11, "chunked, cut off between chunks", chunked("5\r\nhello\r\n").close(), Outcome::Error(&[Incomplete])),
        row(12, "chunk lines with bare LF", chunked("5\nhello\n0\n\n"), PROTOCOL),
        row(
            13,
            "200 KB of chunk extensions",
            chunked(&format!("5;x={}\r\nhello\r\n0\r\n\r\n", "y".repeat(200 * 1024))),
            TOO_LONG,
        ),
        row(14, "5000 trailers", chunked(&format!("5\r\nhello\r\n0\r\n{trailers}\r\n")), TOO_LONG),
    ]
}

fn heads() -> Vec<Row> {
    let fields = |count: usize| -> String {
        let lines: Vec<String> = (0..count).map(|number| format!("x-{number}: y")).collect();
        lines.join("\r\n")
    };
    vec![
        row(15, "100 header fields", with_lines(&fields(99)), HELLO).reusable(),
        row(15, "101 header fields", with_lines(&fields(100)), Outcome::ErrorNaming(&[TooLarge], "limit headers")),
        row(
            16,
            "one header of 300 KB",
            with_lines(&format!("x: {}", "y".repeat(300 * 1024))),
            Outcome::ErrorNaming(&[TooLarge], "limit header_bytes"),
        ),
        row(
            17,
            "endless header fields",
            answer("HTTP/1.1 200 OK\r\n").generate(|number| Some(format!("x-{number}: y\r\n").into())),
            Outcome::ErrorNaming(&[TooLarge], "limit header"),
        ),
        row(
            17,
            "an endless header field",
            answer("HTTP/1.1 200 OK\r\nx: ").generate(|_| Some(Bytes::from_static(&[b'y'; 4096]))),
            Outcome::ErrorNaming(&[TooLarge], "limit header_bytes"),
        ),
        row(
            17,
            "an endless status line",
            answer("HTTP/1.1 200 ").generate(|_| Some(Bytes::from_static(&[b'O'; 4096]))),
            Outcome::ErrorNaming(&[TooLarge], "limit header_bytes"),
        ),
        row(18, "NUL in a value", with_lines("X-Odd: a\0b"), PROTOCOL),
        row(19, "bare CR in a value", with_lines("X-Odd: a\rb"), PROTOCOL),
        row(20, "folded header", with_lines("X-Odd: a\r\n b"), PROTOCOL),
        row(21, "space before the colon", with_lines("X-Odd : a"), PROTOCOL),
        row(22, "empty header name", with_lines(": a"), PROTOCOL),
        row(
            23,
            "non-ASCII byte in a value",
            answer(&b"HTTP/1.1 200 OK\r\nX-Odd: caf\xe9\r\nContent-Length: 5\r\n\r\nhello"[..]),
            Outcome::Header("x-odd", b"caf\xe9"),
        )
        .reusable(),
    ]
}

fn statuses() -> Vec<Row> {
    let line = |line: &str| answer(format!("{line}\r\nContent-Length: 5\r\n\r\nhello"));
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    let hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    vec![
        row(24, "status 099", line("HTTP/1.1 099 Odd"), PROTOCOL),
        row(24, "status 1000", line("HTTP/1.1 1000 Odd"), PROTOCOL),
        row(24, "status abc", line("HTTP/1.1 abc Odd"), PROTOCOL),
        row(24, "no status", line("HTTP/1.1 "), PROTOCOL),
        row(25, "HTTP/0.9", answer_and_close("<html><body>hello</body></html>\r\n"), PROTOCOL),
        row(26, "HTTP/2 as text", line("HTTP/2 200 OK"), PROTOCOL),
        row(26, "HTTP/2.0 as text", line("HTTP/2.0 200 OK"), PROTOCOL),
        row(27, "a head with bare LF", answer("HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"), HELLO).reusable(),
        row(28, "16 interim answers", answer(hints.repeat(16) + hello), HELLO).reusable(),
        row(
            28,
            "20,000 interim answers",
            answer(hints.repeat(20_000) + hello),
            Outcome::ErrorNaming(&[TooLarge], "limit interim"),
        ),
        row(
            29,
            "101 that nobody asked for",
            answer("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"),
            PROTOCOL,
        ),
    ]
}

fn times() -> Vec<Row> {
    let total = Policy::default().with_timeouts(Timeouts::default().with_total(Some(Duration::from_secs(5))));
    let long_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\nContent-Length: 5\r\n\r\nhello", "y".repeat(400));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
    let body = "z".repeat(1000);
    let dripping_body = Script::new().request().send(head).send_in_pieces(body, 1, Duration::from_millis(200));
    vec![
        row(30, "a silent server", Script::new().request().stall(), Outcome::Timeout(Phase::Wait)),
        row(31, "a head that drips", dripping(long_head), Outcome::Timeout(Phase::Wait)),
        row(32, "a body that stops", answer(head).send("hello").stall(), Outcome::Timeout(Phase::Receive)),
        row(32, "a body that drips", dripping_body.clone(), Outcome::Timeout(Phase::Receive)),
        row(32, "a body that drips, against the total", dripping_body, Outcome::Timeout(Phase::Total)).policy(total),
    ]
}

fn ends() -> Vec<Row> {
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let hello = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    let redirect = |to: &str| answer(format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"));
    vec![
        row(33, "an empty answer", Script::new().request().close(), Outcome::Error(&[Closed])),
        row(
            33,
            "a head cut off",
            answer_and_close("HTTP/1.1 200 OK\r\nContent-"),
            Outcome::Error(&[Closed, Incomplete]),
        ),
        row(34, "a second answer after the first", answer(format!("{hello}{evil}")), HELLO),
        row(34, "junk after the answer", answer(format!("{hello}\r\n\r\njunk")), HELLO),
        row(48, "a Location that is no URL", redirect("http://["), Outcome::Error(&[Redirect])).reusable(),
        row(48, "a Location with a broken port", redirect("http://a.example:x/"), Outcome::Error(&[Redirect]))
            .reusable(),
        row(
            49,
            "204 with a body",
            answer("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
            Outcome::Body(b""),
        ),
        row(
            49,
            "304 with a body",
            answer("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello"),
            Outcome::Body(b""),
        ),
        row(
            49,
            "204 with an answer for a body",
            answer(format!("HTTP/1.1 204 No Content\r\n\r\n{evil}")),
            Outcome::Body(b""),
        ),
    ]
}

fn codings() -> Vec<Row> {
    let hello = gzip(b"hello");
    let whole = |encoding: &str, body: &[u8]| answer(coded(encoding, body));
    let ten = ["gzip"; 10].join(", ");
    vec![
        row(
            35,
            "a gzip bomb",
            whole("gzip", &bomb(8 * 1024 * 1024)),
            Outcome::Error(&[TooLarge]),
        ),
        row(
            35,
            "a gzip bomb in two layers",
            whole("gzip, gzip", &gzip(&bomb(8 * 1024 * 1024))),
            Outcome::Error(&[TooLarge]),
        ),
        row(
            36,
            "gzip twice",
            whole("gzip, gzip", &gzip_layers(b"hello", 2)),
            HELLO,
        ),
        row(
            37,
            "10 codings",
            whole(&ten, &gzip_layers(b"hello", 10)),
            Outcome::ErrorNaming(&[TooLarge], "limit decode_layers"),
        ),
        row(
            38,
            "gzip cut off",
            whole("gzip", &hello[..hello.len() - 10]),
            Outcome::Error(&[Decode, Incomplete]),
        ),
        row(
            38,
            "gzip without its checksum",
            whole("gzip", &hello[..hello.len() - 8]),
            Outcome::Error(&[Decode, Incomplete]),
        ),
        row(
            39,
            "gzip of garbage",
            whole("gzip", b"this is no gzip at all"),
            Outcome::Error(&[Decode]),
        ),
        row(
            39,
            "gzip with a wrong checksum",
            whole("gzip", &broken_checksum(&hello)),
            Outcome::Error(&[Decode]),
        ),
        row(
            40,
            "junk after the end of gzip",
            whole("gzip", &[&hello[..], b"junk"].concat()),
            Outcome::Error(&[Decode]),
        ),
    ]
    .into_iter()
    // The framing was right, whatever was in the frames.
    .map(Row::reusable)
    .collect()
}

/// RFC 1952 §2.3.1: the checksum stands before the last four bytes.
fn broken_checksum(gzip: &[u8]) -> Vec<u8> {
    let mut broken = gzip.to_vec();
    let at = broken.len() - 8;
    broken[at] ^= 0xff;
    broken
}
