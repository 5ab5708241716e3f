//! What the fuzz targets reach of the rooms that nobody else does: built for them alone (`cfg(fuzzing)`).
//!
//! Each takes arbitrary bytes, and panics where a promise does not hold.

use std::io::{self, Cursor, Read, Write};

use bytes::{Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig};
use tungstenite::{Error as TheirError, Message as TheirMessage, WebSocket};

use crate::close::{CloseBody, CloseCode};
use crate::compression::Compression;
use crate::deflate::{Agreed, Deflate, Deflater, Inflated, Inflater};
use crate::frame::Head;
use crate::handshake::{self, Asked, Judged, RequestHead, Scan, Terms};
use crate::limits::Limits;
use crate::message::{Kind, Message};
use crate::receive::{Item, Receiver};
use crate::role::Role;
use crate::violation::Violation;

/// The head of a frame: no more is said of a part than of the whole, what is read is written back, and tungstenite
/// reads the same.
pub fn frame(data: &[u8]) {
    let whole = Head::parse(data);
    for end in 0..data.len() {
        match Head::parse(&data[..end]) {
            Ok(None) => {}
            early => assert_eq!(early, whole, "after {end} bytes"),
        }
    }
    let Ok(Some((head, length))) = whole else { return };
    let mut out = BytesMut::new();
    head.write(&mut out);
    assert_eq!(out, data[..length]);
    let (theirs, their_length) = FrameHeader::parse(&mut Cursor::new(data)).expect("no error").expect("all there");
    assert_eq!((theirs.is_final, theirs.rsv1, theirs.mask), (head.fin, head.rsv1, head.mask));
    assert_eq!(their_length, head.payload_bytes);
}

fn agreed(takeover: bool) -> Agreed {
    Agreed { own_window_bits: 15, own_takeover: takeover, peer_window_bits: 15, peer_takeover: takeover }
}

fn limits() -> Limits {
    Limits::default().with_message_bytes(10_000).with_frame_bytes(5_000).with_empty_fragments(10)
}

/// What a peer sends. Input: flags, the size of the parts it comes in, and it.
pub fn protocol(data: &[u8]) {
    let [flags, step, wire @ ..] = data else { return };
    let role = if flags & 1 == 0 { Role::Client } else { Role::Server };
    let is_compressed = flags & 2 != 0;
    let fresh =
        |limits: Limits| Receiver::new(role, limits, is_compressed.then(|| Inflater::new(&agreed(flags & 4 != 0))));
    let step = usize::from(*step).max(1);
    let whole = read(fresh(limits()), wire, wire.len().max(1), false);
    let cut = read(fresh(limits()), wire, step, false);
    assert_eq!(cut.0, whole.0);
    assert_eq!(cut.1.is_some(), whole.1.is_some(), "{:?} {:?}", cut.1, whole.1);
    if !is_compressed {
        assert_eq!(cut.1, whole.1);
        second_opinion(role, wire, &whole);
    }
    let unlimited = limits().with_message_bytes(usize::MAX);
    if !is_compressed {
        let whole = read(fresh(unlimited), wire, wire.len().max(1), false);
        assert_eq!(read(fresh(unlimited), wire, step, true), whole, "in pieces");
    } else {
        // A bomb may be as large as it likes here: its pieces alone are looked at.
        read(fresh(unlimited), wire, step, true);
    }
}

fn read(mut receiver: Receiver, wire: &[u8], step: usize, streaming: bool) -> (Vec<Item>, Option<Violation>) {
    let (mut items, mut open) = (Vec::new(), BytesMut::new());
    for part in wire.chunks(step) {
        let mut part = Bytes::copy_from_slice(part);
        loop {
            receiver.set_streaming(streaming);
            match receiver.feed(&mut part) {
                Ok(Some(Item::Piece { kind, data, last })) => {
                    assert!(last || !data.is_empty(), "a piece of nothing");
                    assert!(kind == Kind::Binary || std::str::from_utf8(&data).is_ok(), "cut inside a character");
                    if open.len() < 1 << 20 {
                        open.extend_from_slice(&data);
                    }
                    if last {
                        let data = open.split().freeze();
                        items.push(Item::Message(match kind {
                            Kind::Binary => Message::Binary(data),
                            Kind::Text => Message::text(String::from_utf8_lossy(&data).into_owned()),
                        }));
                    }
                }
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(violation) => return (items, Some(violation)),
            }
        }
    }
    (items, None)
}

struct Recorded<'a>(&'a [u8]);

impl Read for Recorded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::ErrorKind::WouldBlock.into()) } else { self.0.read(buffer) }
    }
}

impl Write for Recorded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The differences meant are told beside the tests of the receiver.
fn second_opinion(role: Role, wire: &[u8], (ours, violation): &(Vec<Item>, Option<Violation>)) {
    let role = if role == Role::Client { TheirRole::Client } else { TheirRole::Server };
    let config = WebSocketConfig::default().max_message_size(Some(10_000)).max_frame_size(Some(5_000));
    let mut socket = WebSocket::from_raw_socket(Recorded(wire), role, Some(config));
    let (mut theirs, mut is_fault) = (Vec::new(), false);
    loop {
        theirs.push(match socket.read() {
            Ok(TheirMessage::Text(text)) => Item::Message(Message::text(text.as_str())),
            Ok(TheirMessage::Binary(data)) => Item::Message(Message::Binary(data)),
            Ok(TheirMessage::Ping(data)) => Item::Ping(data),
            Ok(TheirMessage::Pong(data)) => Item::Pong(data),
            Ok(TheirMessage::Close(frame)) => {
                let body = frame.map(|frame| (CloseCode::new(frame.code.into()), frame.reason.as_str().into()));
                theirs.push(Item::Close(CloseBody(body)));
                break;
            }
            Ok(TheirMessage::Frame(_)) => unreachable!("never read"),
            Err(TheirError::Io(_)) => break,
            Err(_) => {
                is_fault = true;
                break;
            }
        });
    }
    match violation {
        None => {
            assert_eq!(ours, &theirs);
            assert!(!is_fault);
        }
        Some(
            Violation::Length
            | Violation::LongControl
            | Violation::Utf8
            | Violation::CloseCode(_)
            | Violation::EmptyFragments(_),
        ) => assert!(theirs.starts_with(ours), "{ours:?} {theirs:?}"),
        Some(violation) => assert_eq!(ours, &theirs, "{violation}"),
    }
}

/// Compressed data: any bytes end in a verdict within the limit, and what is compressed can be inflated. Input: flags, the
/// size of fragments, and the data.
pub fn deflate(data: &[u8]) {
    let [flags, step, data @ ..] = data else { return };
    let (takeover, step) = (flags & 1 == 0, usize::from(*step) + 1);
    let limit = 10_000;
    let mut inflater = Inflater::new(&agreed(takeover));
    let (mut input, mut out) = (data, BytesMut::new());
    // Twice: what a message leaves behind is the beginning of the next.
    for _ in 0..2 {
        match inflater.inflate(&mut input, true, &mut out, limit) {
            Ok(Inflated::Done) => assert!(input.is_empty() && out.len() <= limit),
            Ok(Inflated::Full) => {
                assert_eq!(out.len(), limit);
                break;
            }
            Err(_) => break,
        }
        (input, out) = (data, BytesMut::new());
    }
    let mut deflater = Deflater::new(&Deflate::new().with_level(flags >> 4), &agreed(takeover));
    let mut inflater = Inflater::new(&agreed(takeover));
    for _ in 0..2 {
        let (mut wire, mut back) = (BytesMut::new(), BytesMut::new());
        for part in data.chunks(step) {
            deflater.compress(part, false, &mut wire);
        }
        deflater.compress(&[], true, &mut wire);
        let mut parts = wire.chunks(step).peekable();
        while let Some(mut part) = parts.next() {
            let last = parts.peek().is_none();
            assert_eq!(inflater.inflate(&mut part, last, &mut back, usize::MAX), Ok(Inflated::Done));
        }
        assert_eq!(back, data);
    }
}

/// Any bytes as the answer to a handshake, and as a request for one.
pub fn handshake(data: &[u8]) {
    let end = Scan::default().find_end(data, 4096);
    let mut scan = Scan::default();
    let mut early = Ok(None);
    for length in 0..=data.len() {
        early = scan.find_end(&data[..length], 4096);
        if !matches!(early, Ok(None)) {
            break;
        }
    }
    assert_eq!(early.as_ref().ok(), end.as_ref().ok(), "byte by byte");
    let Ok(Some(end)) = end else { return };
    let head = &data[..end];
    let subprotocols = ["chat".to_owned(), "other".to_owned()];
    let compression = Compression::default();
    // Any other status is looked at before.
    if let Some(head) = handshake::Head::parse(head, 100).ok().filter(|head| head.status.as_u16() == 101) {
        let asked = Asked { subprotocols: &subprotocols, require_subprotocol: false };
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        if let Ok(agreed) = handshake::check_upgrade(&head, key, asked, |headers| compression.check_answer(headers)) {
            assert!(agreed.subprotocol.is_none_or(|chosen| subprotocols.contains(&chosen)));
        }
    }
    if let Ok(head) = RequestHead::parse(head, 100) {
        let terms = Terms { subprotocols: &subprotocols };
        let judged = handshake::judge(&head, terms, |headers| compression.answer(headers));
        if let Judged::Refuse(refusal) = judged {
            let answer = refusal.to_answer();
            let end = Scan::default().find_end(&answer, 4096).ok().flatten().expect("a head");
            assert!(handshake::Head::parse(&answer[..end], 100).is_ok(), "an answer that is one");
        }
    }
}
