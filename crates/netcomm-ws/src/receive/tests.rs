//! What is read, held against a second opinion and against itself: however the input is cut, the same comes out.

use std::io::{self, Read, Write};

use allocation_counter::measure;
use proptest::prelude::*;
use proptest::sample::Index;
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig};
use tungstenite::{Error as TheirError, Message as TheirMessage, WebSocket};

use super::*;
#[cfg(feature = "deflate")]
use crate::deflate::{Agreed, Deflate, Deflater};

/// One frame, good or bad.
#[derive(Clone, Debug)]
struct Frame {
    first: u8,
    masked: bool,
    /// How many bytes more than needed the length takes: 0, 2 or 8.
    long: usize,
    payload: Vec<u8>,
}

impl Frame {
    fn write(&self, out: &mut Vec<u8>) {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let mask = if self.masked { 0x80 } else { 0 };
        let length = self.payload.len();
        out.push(self.first);
        match self.long.max(if length < 126 {
            0
        } else if length < 0x1_0000 {
            2
        } else {
            8
        }) {
            0 => out.push(length as u8 | mask),
            2 => {
                out.push(126 | mask);
                out.extend_from_slice(&(length as u16).to_be_bytes());
            }
            _ => {
                out.push(127 | mask);
                out.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        if self.masked {
            out.extend_from_slice(&key);
        }
        let start = out.len();
        out.extend_from_slice(&self.payload);
        if self.masked {
            mask::apply(key, 0, &mut out[start..]);
        }
    }
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => any::<String>().prop_map(String::into_bytes),
        2 => proptest::collection::vec(any::<u8>(), 0..10),
        2 => proptest::collection::vec(Just(b'x'), 100..140),
        1 => (15_000_usize..70_000).prop_map(|length| "aé€".bytes().cycle().take(length).collect::<Vec<_>>()),
        2 => (990_u16..1020, ".{0,40}").prop_map(|(code, reason)| {
            let mut body = code.to_be_bytes().to_vec();
            body.extend_from_slice(reason.as_bytes());
            body
        }),
        1 => prop_oneof![Just(1016_u16), Just(2999), Just(3000), Just(4999), Just(5000)]
            .prop_map(|code| code.to_be_bytes().to_vec()),
    ]
}

/// Frames of one side, mostly such as belong together.
fn frames(masked: bool) -> impl Strategy<Value = Vec<Frame>> {
    let first = prop_oneof![
        8 => Just(0x81_u8),
        8 => Just(0x82),
        6 => Just(0x01),
        3 => Just(0x02),
        8 => Just(0x00),
        8 => Just(0x80),
        3 => Just(0x89),
        2 => Just(0x8a),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let long = prop_oneof![40 => Just(0), 1 => Just(2), 1 => Just(8)];
    let masked = prop_oneof![40 => Just(masked), 1 => any::<bool>()];
    let frame = (first, masked, long, payload()).prop_map(|(first, masked, long, mut payload)| {
        if first & 0x08 != 0 {
            payload.truncate(125);
        }
        Frame { first, masked, long, payload }
    });
    proptest::collection::vec(frame, 1..12)
}

fn input() -> impl Strategy<Value = (Role, Vec<u8>)> {
    any::<bool>().prop_flat_map(|is_server| {
        let role = if is_server { Role::Server } else { Role::Client };
        (frames(is_server), any::<Index>(), 0..4_u8).prop_map(move |(frames, end, cut)| {
            let mut bytes = Vec::new();
            for frame in &frames {
                frame.write(&mut bytes);
            }
            if cut == 0 {
                bytes.truncate(end.index(bytes.len() + 1));
            }
            (role, bytes)
        })
    })
}

fn cuts() -> impl Strategy<Value = Vec<Index>> {
    prop_oneof![proptest::collection::vec(any::<Index>(), 0..6), proptest::collection::vec(any::<Index>(), 40..60)]
}

/// The parts of `bytes` between the cuts.
fn parts<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    at.sort_unstable();
    at.windows(2).map(|at| &bytes[at[0]..at[1]]).collect()
}

type Outcome = (Vec<Item>, Option<Violation>);

/// How the input is handed over.
#[derive(Clone, Copy, Debug)]
enum Hand {
    Slices,
    Shared,
    /// Where the receiver says, as far as it says so.
    Direct,
}

fn read(mut receiver: Receiver, parts: &[&[u8]], hand: Hand, streaming: bool) -> Outcome {
    let mut items = Vec::new();
    let step = |receiver: &mut Receiver,
                rest: &mut dyn FnMut(&mut Receiver) -> Result<Option<Item>, Violation>,
                items: &mut Vec<Item>| {
        loop {
            receiver.set_streaming(streaming);
            match rest(receiver)? {
                Some(item) => items.push(item),
                None => return Ok::<_, Violation>(()),
            }
        }
    };
    for part in parts {
        let mut part = *part;
        let read = match hand {
            Hand::Slices => step(&mut receiver, &mut |receiver| receiver.feed(&mut part), &mut items),
            Hand::Shared => {
                let mut part = Bytes::copy_from_slice(part);
                step(&mut receiver, &mut |receiver| receiver.feed(&mut part), &mut items)
            }
            Hand::Direct => loop {
                receiver.set_streaming(streaming);
                if part.is_empty() {
                    break step(&mut receiver, &mut |receiver| receiver.feed(&mut part), &mut items);
                }
                let read = if let Some((data, room)) = receiver.direct() {
                    let count = room.min(part.len());
                    data.extend_from_slice(&part[..count]);
                    part = &part[count..];
                    receiver.filled(count)
                } else {
                    receiver.feed(&mut part)
                };
                match read {
                    Ok(item) => items.extend(item),
                    Err(violation) => break Err(violation),
                }
            },
        };
        if let Err(violation) = read {
            return (items, Some(violation));
        }
    }
    (items, None)
}

/// A stream that was recorded; what is written to it goes nowhere.
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

/// What tungstenite makes of it, and whether it found fault.
fn second_opinion(role: Role, bytes: &[u8], limits: &Limits) -> (Vec<Item>, bool) {
    let role = if role == Role::Client { TheirRole::Client } else { TheirRole::Server };
    let config = WebSocketConfig::default()
        .max_message_size(Some(limits.message_bytes))
        .max_frame_size(Some(usize::try_from(limits.frame_bytes).expect("fits")));
    let mut socket = WebSocket::from_raw_socket(Recorded(bytes), role, Some(config));
    let mut items = Vec::new();
    loop {
        items.push(match socket.read() {
            Ok(TheirMessage::Text(text)) => Item::Message(Message::text(text.as_str())),
            Ok(TheirMessage::Binary(data)) => Item::Message(Message::Binary(data)),
            Ok(TheirMessage::Ping(data)) => Item::Ping(data),
            Ok(TheirMessage::Pong(data)) => Item::Pong(data),
            Ok(TheirMessage::Close(frame)) => {
                let body = frame.map(|frame| (crate::CloseCode::new(frame.code.into()), frame.reason.as_str().into()));
                items.push(Item::Close(CloseBody(body)));
                return (items, false);
            }
            Ok(TheirMessage::Frame(_)) => unreachable!("never read"),
            Err(TheirError::Io(_)) => return (items, false),
            Err(_) => return (items, true),
        });
    }
}

fn limits() -> Limits {
    Limits::default().with_message_bytes(150_000).with_frame_bytes(60_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Where the two differ, it is that we are stricter, or told sooner:
    /// - `Length`, and `LongControl` for a small control frame whose length is written long: lengths in their shortest form alone
    ///   (RFC 6455 §5.2); it takes any.
    /// - `Utf8`: with the byte that shows it; it looks when a message is whole, and takes control frames meanwhile.
    /// - `CloseCode`: 1016 to 2999 and those that may not be sent; it hands such a frame out, and answers with 1002.
    /// - all: with the byte that shows it; it waits for the end of the frame, which may never come.
    #[test]
    fn the_second_opinion_agrees((role, bytes) in input()) {
        let (ours, violation) = read(Receiver::new(role, limits(), None), &[&bytes], Hand::Slices, false);
        let (theirs, is_fault) = second_opinion(role, &bytes, &limits());
        match violation {
            // It does not know the code that was registered after RFC 6455.
            None if matches!(ours.last(), Some(Item::Close(CloseBody(Some((code, _))))) if code.get() == 1014) => {
                let before = &ours[..ours.len() - 1];
                prop_assert!(theirs.starts_with(before), "{:?} {:?}", ours, theirs);
            }
            None => {
                prop_assert_eq!(&ours, &theirs);
                prop_assert!(!is_fault);
            }
            Some(Violation::Length | Violation::LongControl | Violation::Utf8 | Violation::CloseCode(_)) => {
                prop_assert!(theirs.starts_with(&ours), "{:?} {:?}", ours, theirs);
            }
            Some(violation) => prop_assert_eq!(&ours, &theirs, "{}", violation),
        }
    }

    #[test]
    fn cuts_change_nothing((role, bytes) in input(), cuts in cuts()) {
        let fresh = || Receiver::new(role, limits(), None);
        let whole = read(fresh(), &[&bytes], Hand::Slices, false);
        for hand in [Hand::Slices, Hand::Shared, Hand::Direct] {
            prop_assert_eq!(&read(fresh(), &parts(&bytes, &cuts), hand, false), &whole, "{:?}", hand);
        }
    }

    #[test]
    fn pieces_make_up_the_messages((role, bytes) in input(), cuts in cuts()) {
        let limits = limits().with_message_bytes(usize::MAX);
        let whole = read(Receiver::new(role, limits, None), &[&bytes], Hand::Slices, false);
        for hand in [Hand::Slices, Hand::Shared, Hand::Direct] {
            let (items, violation) = read(Receiver::new(role, limits, None), &parts(&bytes, &cuts), hand, true);
            prop_assert_eq!(&(joined(items), violation), &whole, "{:?}", hand);
        }
    }
}

/// The messages that pieces make up; those that did not end are left out.
fn joined(items: Vec<Item>) -> Vec<Item> {
    let mut open = BytesMut::new();
    let mut out = Vec::new();
    for item in items {
        match item {
            Item::Piece { kind, data, last } => {
                assert!(last || !data.is_empty(), "a piece of nothing");
                assert!(data.len() <= PIECE_BYTES + 3, "{}", data.len());
                assert!(kind == Kind::Binary || std::str::from_utf8(&data).is_ok(), "cut inside a character");
                open.extend_from_slice(&data);
                if last {
                    out.push(whole(kind, open.split().freeze()).expect("checked"));
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(feature = "deflate")]
mod compressed {
    use super::*;

    fn agreed(takeover: bool) -> Agreed {
        Agreed { own_window_bits: 15, own_takeover: takeover, peer_window_bits: 15, peer_takeover: takeover }
    }

    fn fresh(takeover: bool, limits: Limits) -> Receiver {
        Receiver::new(Role::Client, limits, Some(Inflater::new(&agreed(takeover))))
    }

    /// Messages of a server, compressed in fragments of that size; one byte may be spoiled.
    fn wire() -> impl Strategy<Value = (bool, Vec<u8>)> {
        let message = prop_oneof![
            4 => any::<String>().prop_map(|text| (Kind::Text, text.into_bytes())),
            2 => proptest::collection::vec(any::<u8>(), 0..300).prop_map(|data| (Kind::Binary, data)),
            1 => (1_usize..300_000).prop_map(|length| (Kind::Text, "ab€".repeat(length / 5).into_bytes())),
        ];
        let messages = proptest::collection::vec((message, 1..2000_usize), 1..5);
        (any::<bool>(), messages, any::<Index>(), 0..3_u8, any::<u8>()).prop_map(
            |(takeover, messages, spoilt, spoil, byte)| {
                let mut deflater = Deflater::new(&Deflate::new(), &agreed(takeover));
                let mut bytes = Vec::new();
                for ((kind, data), fragment) in messages {
                    let mut wire = BytesMut::new();
                    deflater.compress(&data, true, &mut wire);
                    let count = wire.len().div_ceil(fragment);
                    for (at, payload) in wire.chunks(fragment).enumerate() {
                        let opcode = if kind == Kind::Text { 0x41 } else { 0x42 };
                        let first = if at == 0 { opcode } else { 0 } | if at + 1 == count { 0x80 } else { 0 };
                        Frame { first, masked: false, long: 0, payload: payload.to_vec() }.write(&mut bytes);
                    }
                }
                if spoil == 0 {
                    let at = spoilt.index(bytes.len());
                    bytes[at] = byte;
                }
                (takeover, bytes)
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        /// Of a message with several faults the cut decides which is told: what an inflater said before it failed is looked
        /// at only where it was asked in between.
        #[test]
        fn cuts_change_nothing((takeover, bytes) in wire(), cuts in cuts()) {
            let whole = read(fresh(takeover, limits()), &[&bytes], Hand::Slices, false);
            for hand in [Hand::Slices, Hand::Shared, Hand::Direct] {
                let cut = read(fresh(takeover, limits()), &parts(&bytes, &cuts), hand, false);
                prop_assert_eq!(&cut.0, &whole.0, "{:?}", hand);
                prop_assert_eq!(cut.1.is_some(), whole.1.is_some(), "{:?} {:?}", cut.1, whole.1);
            }
        }

        #[test]
        fn pieces_make_up_the_messages((takeover, bytes) in wire(), cuts in cuts()) {
            let limits = limits().with_message_bytes(usize::MAX);
            let whole = read(fresh(takeover, limits), &[&bytes], Hand::Slices, false);
            for hand in [Hand::Slices, Hand::Shared, Hand::Direct] {
                let (items, violation) = read(fresh(takeover, limits), &parts(&bytes, &cuts), hand, true);
                prop_assert_eq!(&joined(items), &whole.0, "{:?}", hand);
                prop_assert_eq!(violation.is_some(), whole.1.is_some(), "{:?} {:?}", violation, whole.1);
            }
        }
    }

    #[test]
    fn the_limit_of_a_compressed_message_is_exact() {
        for (size, is_good) in [(999, true), (1000, true), (1001, false)] {
            let mut deflater = Deflater::new(&Deflate::new(), &agreed(true));
            let mut wire = BytesMut::new();
            deflater.compress(&vec![7; size], true, &mut wire);
            let mut bytes = Vec::new();
            Frame { first: 0xc2, masked: false, long: 0, payload: wire.to_vec() }.write(&mut bytes);
            let (items, violation) =
                read(fresh(true, limits().with_message_bytes(1000)), &[&bytes], Hand::Slices, false);
            assert_eq!((items.len(), violation.is_none()), (usize::from(is_good), is_good), "{size}");
        }
    }
}

fn one(first: u8, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    Frame { first, masked: false, long: 0, payload: vec![b'x'; length] }.write(&mut bytes);
    bytes
}

#[test]
fn limits_are_exact_however_a_message_comes() {
    let limits = Limits::default().with_message_bytes(1000).with_frame_bytes(800).with_empty_fragments(3);
    let too_large = Some(Violation::MessageTooLarge(1000));
    let cases: [(Vec<Vec<u8>>, Option<Violation>); 9] = [
        (vec![one(0x82, 800)], None),
        (vec![one(0x82, 801)], Some(Violation::FrameTooLarge(800))),
        (vec![one(0x02, 800), one(0x80, 200)], None),
        (vec![one(0x02, 800), one(0x80, 201)], too_large.clone()),
        (vec![one(0x02, 800), one(0x00, 200), one(0x80, 0)], None),
        (vec![one(0x02, 800), one(0x00, 200), one(0x80, 1)], too_large),
        (vec![one(0x02, 0), one(0x00, 0), one(0x80, 0)], None),
        (vec![one(0x02, 0), one(0x00, 0), one(0x00, 0), one(0x00, 0)], Some(Violation::EmptyFragments(3))),
        // Empty messages are no fragments.
        (vec![one(0x82, 0); 10], None),
    ];
    for (frames, violation) in cases {
        let bytes = frames.concat();
        for has_streamed in [false, true] {
            for cut in [bytes.len(), 1] {
                let mut receiver = Receiver::new(Role::Client, limits, None);
                receiver.set_streaming(has_streamed);
                receiver.set_streaming(false);
                let parts: Vec<_> = bytes.chunks(cut).collect();
                assert_eq!(read(receiver, &parts, Hand::Slices, false).1, violation, "{has_streamed} {cut}");
            }
        }
    }
    // A message that fits into one frame may be bounded by its own limit.
    let limits = limits.with_frame_bytes(u64::MAX);
    for has_streamed in [false, true] {
        for (size, is_good) in [(1000, true), (1001, false)] {
            let mut receiver = Receiver::new(Role::Client, limits, None);
            receiver.set_streaming(has_streamed);
            let (_, violation) = read(receiver, &[&one(0x82, size)], Hand::Slices, false);
            assert_eq!(violation.is_none(), is_good, "{has_streamed} {size}");
        }
    }
}

#[test]
fn a_head_holds_no_memory() {
    for frames in 0..2 {
        for came in [0, 1, 1000, 100_000] {
            let mut bytes = if frames == 1 { one(0x02, 10_000) } else { Vec::new() };
            bytes.extend([if frames == 1 { 0x80 } else { 0x82 }, 127, 0, 0, 0, 0, 0, 0x80, 0, 0]);
            bytes.extend(vec![1; came]);
            let mut receiver = Receiver::new(Role::Client, Limits::default(), None);
            let memory = measure(|| {
                for part in bytes.chunks(16 * 1024) {
                    if let Some((data, _)) = receiver.direct() {
                        data.extend_from_slice(part);
                        assert_eq!(receiver.filled(part.len()), Ok(None));
                    } else {
                        let mut part = part;
                        assert_eq!(receiver.feed(&mut part), Ok(None));
                    }
                }
            });
            // Twice what came, where room grows by doubling; 64 KiB else.
            let most = 2 * AHEAD_BYTES as u64 + 3 * (bytes.len() as u64);
            assert!(memory.bytes_max <= most, "{came}: {memory:?}");
        }
    }
}
