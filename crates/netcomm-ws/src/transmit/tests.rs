//! What is sent is read back by the other end, and by a second opinion.

use std::io::{self, Read, Write};

use proptest::prelude::*;
use tungstenite::protocol::Role as TheirRole;
use tungstenite::{Message as TheirMessage, WebSocket};

use super::*;
use crate::close::CloseCode;
#[cfg(feature = "deflate")]
use crate::deflate::{Agreed, Deflate, Deflater, Inflater};
use crate::receive::{Item, Receiver};

#[derive(Clone, Debug)]
enum Act {
    Message(Kind, Vec<u8>),
    /// A message in pieces.
    Pieces(Kind, Vec<Vec<u8>>),
    Ping([u8; 8]),
    Pong(Vec<u8>),
}

fn data() -> impl Strategy<Value = (Kind, Vec<u8>)> {
    prop_oneof![
        4 => any::<String>().prop_map(|text| (Kind::Text, text.into_bytes())),
        2 => (0..2000_usize).prop_map(|length| (Kind::Binary, vec![7; length])),
        1 => (60_000..140_000_usize).prop_map(|length| (Kind::Text, "é".repeat(length / 2).into_bytes())),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let control = proptest::collection::vec(any::<u8>(), 0..=125);
    prop_oneof![
        6 => data().prop_map(|(kind, data)| Act::Message(kind, data)),
        2 => (data(), 1..3000_usize).prop_map(|((kind, data), size)| {
            Act::Pieces(kind, data.chunks(size).map(<[u8]>::to_vec).collect())
        }),
        1 => any::<[u8; 8]>().prop_map(Act::Ping),
        1 => control.prop_map(Act::Pong),
    ]
}

/// All that comes out when no more than `step` bytes are taken at once; and what is to be read of it. Control frames may take
/// the place of their like, so they are not compared.
fn play(mut transmitter: Transmitter, acts: &[Act], step: usize, most: usize) -> (Vec<u8>, Vec<Message>) {
    fn take(transmitter: &mut Transmitter, wire: &mut Vec<u8>, step: usize) {
        let count = step.min(transmitter.chunk().len());
        wire.extend_from_slice(&transmitter.chunk()[..count]);
        transmitter.advance(count);
    }
    let (mut wire, mut expected) = (Vec::new(), Vec::new());
    for act in acts {
        let mut room = |transmitter: &mut Transmitter| {
            while !transmitter.is_ready() {
                take(transmitter, &mut wire, step);
                assert!(transmitter.chunk().len() <= 2 * most + 200, "more than the limit is ready");
            }
        };
        match act {
            Act::Message(kind, data) => {
                room(&mut transmitter);
                let message = message(*kind, data);
                expected.push(message.clone());
                transmitter.message(message);
            }
            Act::Pieces(kind, pieces) => {
                room(&mut transmitter);
                transmitter.begin(*kind).expect("no other is open");
                for piece in pieces {
                    room(&mut transmitter);
                    transmitter.piece(Bytes::copy_from_slice(piece), false);
                }
                room(&mut transmitter);
                transmitter.piece(Bytes::new(), true);
                expected.push(message(*kind, &pieces.concat()));
            }
            Act::Ping(payload) => transmitter.ping(*payload),
            Act::Pong(payload) => transmitter.pong(Bytes::copy_from_slice(payload)),
        }
    }
    transmitter.close(CloseBody::code_alone(CloseCode::NORMAL));
    while !transmitter.chunk().is_empty() {
        take(&mut transmitter, &mut wire, step);
    }
    assert!(transmitter.is_silent());
    (wire, expected)
}

fn message(kind: Kind, data: &[u8]) -> Message {
    match kind {
        Kind::Text => Message::text(std::str::from_utf8(data).expect("text")),
        Kind::Binary => Message::from(data),
    }
}

fn read(mut receiver: Receiver, wire: &[u8]) -> Vec<Message> {
    let mut input = wire;
    let mut messages = Vec::new();
    while let Some(item) = receiver.feed(&mut input).expect("all as it must be") {
        match item {
            Item::Message(message) => messages.push(message),
            Item::Close(body) => {
                assert_eq!(body, CloseBody::code_alone(CloseCode::NORMAL));
                assert!(input.is_empty(), "something behind the goodbye");
                return messages;
            }
            Item::Ping(_) | Item::Pong(_) => {}
            Item::Piece { .. } => panic!("nobody streams"),
        }
    }
    panic!("no goodbye");
}

struct Recorded<'a>(&'a [u8]);

impl Read for Recorded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
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

fn second_opinion(role: Role, wire: &[u8]) -> Vec<Message> {
    let role = if role == Role::Client { TheirRole::Client } else { TheirRole::Server };
    let mut socket = WebSocket::from_raw_socket(Recorded(wire), role, None);
    let mut messages = Vec::new();
    loop {
        match socket.read().expect("all as it must be") {
            TheirMessage::Text(text) => messages.push(Message::text(text.as_str())),
            TheirMessage::Binary(data) => messages.push(Message::Binary(data)),
            TheirMessage::Close(_) => return messages,
            _ => {}
        }
    }
}

fn other(role: Role) -> Role {
    if role == Role::Client { Role::Server } else { Role::Client }
}

fn sizes() -> impl Strategy<Value = (Limits, usize)> {
    let bytes = || prop_oneof![0..10_usize, 10..1000_usize, 1000..200_000_usize];
    // Byte by byte only where there is not much: at the most some ten thousand steps.
    (bytes(), 10..200_000_usize, 50..100_000_usize).prop_map(|(fragment, buffer, step)| {
        (Limits::default().with_fragment_bytes(fragment.max(20)).with_write_buffer_bytes(buffer), step)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_sent_is_read_back(
        is_server: bool,
        acts in proptest::collection::vec(act(), 0..12),
        (limits, step) in sizes(),
    ) {
        let role = if is_server { Role::Server } else { Role::Client };
        let (wire, expected) = play(Transmitter::new(role, &limits, Keys::new(), None), &acts, step, limits.write_buffer_bytes);
        let read_back = Limits::default().with_empty_fragments(u32::MAX);
        prop_assert_eq!(&read(Receiver::new(other(role), read_back, None), &wire), &expected);
        prop_assert_eq!(&second_opinion(other(role), &wire), &expected);
    }

    #[cfg(feature = "deflate")]
    #[test]
    fn what_is_sent_compressed_is_read_back(
        is_server: bool,
        takeover: bool,
        threshold in 0..200_usize,
        acts in proptest::collection::vec(act(), 0..12),
        (limits, step) in sizes(),
    ) {
        let role = if is_server { Role::Server } else { Role::Client };
        let agreed =
            Agreed { own_window_bits: 15, own_takeover: takeover, peer_window_bits: 15, peer_takeover: takeover };
        let deflater = Deflater::new(&Deflate::new(), &agreed);
        let transmitter = Transmitter::new(role, &limits, Keys::new(), Some((deflater, threshold)));
        let (wire, expected) = play(transmitter, &acts, step, limits.write_buffer_bytes);
        let receiver = Receiver::new(other(role), Limits::default(), Some(Inflater::new(&agreed)));
        prop_assert_eq!(&read(receiver, &wire), &expected);
    }
}

#[test]
fn a_buffer_of_nothing_still_lets_bytes_through() {
    let limits = Limits::default().with_fragment_bytes(0).with_write_buffer_bytes(0);
    let acts = [Act::Message(Kind::Text, b"hello".to_vec()), Act::Ping([1; 8]), Act::Message(Kind::Binary, vec![])];
    let (wire, expected) = play(Transmitter::new(Role::Client, &limits, Keys::new(), None), &acts, 1, 200);
    assert_eq!(read(Receiver::new(Role::Server, Limits::default(), None), &wire), expected);
}

#[test]
fn a_ping_goes_between_fragments_and_its_end_is_told() {
    let limits = Limits::default().with_fragment_bytes(100).with_write_buffer_bytes(50);
    let mut transmitter = Transmitter::new(Role::Server, &limits, Keys::new(), None);
    transmitter.message(Message::from(vec![7; 1000]));
    transmitter.ping(*b"12345678");
    let mut wire = Vec::new();
    let mut told = Vec::new();
    while let Some(byte) = transmitter.chunk().first() {
        wire.push(*byte);
        if transmitter.advance(1) {
            told.push(wire.len());
        }
    }
    let end = wire.windows(10).position(|bytes| bytes == b"\x89\x0812345678").expect("a ping") + 10;
    assert_eq!(told, [end], "once, with its last byte");
    assert!(end < 250, "{end}: behind the fragment that was on its way");
}
