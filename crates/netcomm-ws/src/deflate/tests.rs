//! Both directions against the examples of RFC 7692, each other, a second opinion, and whoever means harm.

use allocation_counter::measure;
use bytes::BytesMut;
use proptest::prelude::*;

use super::*;
use crate::violation::Violation;

const PLAIN: Deflate = Deflate::new();
const LIMIT: usize = 1 << 20;

/// An end whose two directions are alike.
fn agreed(window_bits: u8, takeover: bool) -> Agreed {
    Agreed {
        own_window_bits: window_bits,
        own_takeover: takeover,
        peer_window_bits: window_bits,
        peer_takeover: takeover,
    }
}

fn deflater(window_bits: u8, takeover: bool) -> Deflater {
    Deflater::new(&PLAIN, &agreed(window_bits, takeover))
}

fn inflater(takeover: bool) -> Inflater {
    Inflater::new(&agreed(15, takeover))
}

fn compressed(deflater: &mut Deflater, message: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    deflater.compress(message, true, &mut out);
    out.into()
}

fn inflated(inflater: &mut Inflater, fragments: &[&[u8]]) -> Result<Vec<u8>, Violation> {
    let mut out = BytesMut::new();
    for (at, mut fragment) in fragments.iter().copied().enumerate() {
        let last = at + 1 == fragments.len();
        let room = LIMIT - out.len();
        if inflater.inflate(&mut fragment, last, &mut out, room)? == Inflated::Full {
            return Err(Violation::MessageTooLarge(LIMIT));
        }
        assert!(fragment.is_empty());
    }
    Ok(out.into())
}

/// The same message in pieces of `piece` bytes at most, from fragments cut where `cuts` say.
fn inflated_by(inflater: &mut Inflater, message: &[u8], cut: usize, piece: usize) -> Result<Vec<u8>, Violation> {
    let mut all = Vec::new();
    let mut fragments = message.chunks(cut).peekable();
    loop {
        let mut fragment = fragments.next().unwrap_or_default();
        let last = fragments.peek().is_none();
        loop {
            let mut out = BytesMut::new();
            let step = inflater.inflate(&mut fragment, last, &mut out, piece)?;
            assert!(out.len() <= piece);
            all.extend_from_slice(&out);
            match step {
                Inflated::Full => assert_eq!(out.len(), piece),
                Inflated::Done => break,
            }
        }
        if last {
            return Ok(all);
        }
    }
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

#[test]
fn rfc_7692_7_2_3_1_a_message() {
    for takeover in [true, false] {
        assert_eq!(compressed(&mut deflater(15, takeover), b"Hello"), HELLO);
        assert_eq!(inflated(&mut inflater(takeover), &[&HELLO]), Ok(b"Hello".into()));
        for cut in 0..=HELLO.len() {
            let (head, rest) = HELLO.split_at(cut);
            assert_eq!(inflated(&mut inflater(takeover), &[head, rest]), Ok(b"Hello".into()), "cut at {cut}");
        }
    }
}

#[test]
fn rfc_7692_7_2_3_2_the_window_is_shared() {
    let again = [0xf2, 0x00, 0x11, 0x00, 0x00];
    let mut sharing = inflater(true);
    assert_eq!(inflated(&mut sharing, &[&HELLO]), Ok(b"Hello".into()));
    assert_eq!(inflated(&mut sharing, &[&again]), Ok(b"Hello".into()));
    assert_eq!(inflated(&mut sharing, &[&again[..2], &again[2..]]), Ok(b"Hello".into()));
    // Without takeover the same bytes look back to where nothing is.
    let mut starting = inflater(false);
    assert_eq!(inflated(&mut starting, &[&HELLO]), Ok(b"Hello".into()));
    assert_eq!(inflated(&mut starting, &[&again]), Err(Violation::Deflate));

    let mut sharing = deflater(15, true);
    assert_eq!(compressed(&mut sharing, b"Hello"), HELLO);
    assert!(compressed(&mut sharing, b"Hello").len() <= again.len());
    let mut starting = deflater(15, false);
    assert_eq!([compressed(&mut starting, b"Hello"), compressed(&mut starting, b"Hello")], [HELLO, HELLO]);
}

#[test]
fn rfc_7692_7_2_3_3_a_block_without_compression() {
    let stored = [0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00];
    for cut in 0..=stored.len() {
        let (head, rest) = stored.split_at(cut);
        assert_eq!(inflated(&mut inflater(true), &[head, rest]), Ok(b"Hello".into()));
    }
    assert_eq!(compressed(&mut Deflater::new(&PLAIN.with_level(0), &agreed(15, true)), b"Hello"), stored);
}

#[test]
fn rfc_7692_7_2_3_4_a_block_that_is_the_last() {
    let last = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00];
    for takeover in [true, false] {
        let mut inflater = inflater(takeover);
        for cut in 0..=last.len() {
            let (head, rest) = last.split_at(cut);
            assert_eq!(inflated(&mut inflater, &[head, rest]), Ok(b"Hello".into()), "cut at {cut}");
            assert_eq!(inflated_by(&mut inflater, &last, cut.max(1), 1), Ok(b"Hello".into()));
        }
        // Some forget the empty block after it, and mean the same.
        assert_eq!(inflated(&mut inflater, &[&last[..7]]), Ok(b"Hello".into()));
        assert_eq!(inflated(&mut inflater, &[&last[..7], b""]), Ok(b"Hello".into()));
        assert_eq!(inflated_by(&mut inflater, &last[..7], 7, 1), Ok(b"Hello".into()));
        assert_eq!(inflated(&mut inflater, &[&HELLO]), Ok(b"Hello".into()), "the connection lives on");
        // More than one, and other blocks between.
        let many = [&last[..7], &last, &[0x00, 0x00, 0xff, 0xff], &HELLO].concat();
        assert_eq!(inflated(&mut inflater, &[&many]), Ok(b"HelloHelloHello".into()));
    }
    // What looks back past it finds nothing, and no wrong data.
    let mut inflater = inflater(true);
    assert_eq!(inflated(&mut inflater, &[&last]), Ok(b"Hello".into()));
    assert_eq!(inflated(&mut inflater, &[&[0xf2, 0x00, 0x11, 0x00, 0x00]]), Err(Violation::Deflate));
}

#[test]
fn rfc_7692_7_2_3_5_two_blocks_in_one_message() {
    let two = [0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00];
    for cut in 0..=two.len() {
        let (head, rest) = two.split_at(cut);
        assert_eq!(inflated(&mut inflater(true), &[head, rest]), Ok(b"Hello".into()));
    }
    let mut out = BytesMut::new();
    let mut deflater = deflater(15, true);
    deflater.compress(b"He", false, &mut out);
    deflater.compress(b"llo", true, &mut out);
    assert_eq!(out, two[..]);
}

#[test]
fn rfc_7692_7_2_3_6_nothing_at_all() {
    for takeover in [true, false] {
        let (mut deflater, mut inflater) = (deflater(15, takeover), inflater(takeover));
        for _ in 0..3 {
            assert_eq!(compressed(&mut deflater, b""), [0]);
            assert_eq!(inflated(&mut inflater, &[&[0]]), Ok(vec![]));
            // Not what the rule says, but it can mean nothing else.
            assert_eq!(inflated(&mut inflater, &[b""]), Ok(vec![]));
            let wire = compressed(&mut deflater, b"Hello");
            assert_eq!(inflated(&mut inflater, &[&wire]), Ok(b"Hello".into()));
        }
        // A streamed message that turns out to have ended.
        let mut out = BytesMut::new();
        deflater.compress(b"", false, &mut out);
        assert!(out.is_empty());
        deflater.compress(b"Hello again", false, &mut out);
        let before = out.len();
        deflater.compress(b"", true, &mut out);
        assert_eq!(out[before..], [0]);
        let mut fresh = Inflater::new(&agreed(15, takeover));
        if !takeover {
            assert_eq!(inflated(&mut fresh, &[&out]), Ok(b"Hello again".into()));
        }
    }
}

#[test]
fn what_cannot_be_inflated() {
    for (broken, why) in [
        (&[0x06][..], "a block type that means nothing"),
        (&[0x00, 0x05, 0x00, 0xfa, 0xfe, 0x48], "a length that does not fit its check"),
        (&[0xf2, 0x00, 0x11, 0x00, 0x00], "a distance past the beginning"),
        (&HELLO[..6], "cut before the end of the block"),
        (&HELLO[..3], "cut in the middle of the block"),
        (&[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65], "cut in the middle of plain bytes"),
        (&[0x00, 0x05], "cut in the middle of a length"),
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff], "garbage after the end"),
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00], "one empty block too many for its tail"),
        (&[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00, 0x00, 0xff, 0xff], "the tail itself"),
        (&[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0xff], "garbage after the last block"),
        (&[0x0c, 0xff, 0xff, 0xff], "a code that cannot be"),
    ] {
        for takeover in [true, false] {
            assert_eq!(inflated(&mut inflater(takeover), &[broken]), Err(Violation::Deflate), "{why}");
            let by_byte = inflated_by(&mut inflater(takeover), broken, 1, 1);
            assert_eq!(by_byte, Err(Violation::Deflate), "{why}, byte by byte");
        }
    }
}

#[test]
fn a_limit_is_met_to_the_byte() {
    let message = vec![7; 100_000];
    let wire = compressed(&mut deflater(15, false), &message);
    for (limit, expected) in [
        (100_001, Inflated::Done),
        (100_000, Inflated::Done),
        (99_999, Inflated::Full),
        (8192, Inflated::Full),
        (1, Inflated::Full),
        (0, Inflated::Full),
    ] {
        let mut out = BytesMut::new();
        let mut input = &wire[..];
        assert_eq!(inflater(false).inflate(&mut input, true, &mut out, limit), Ok(expected), "{limit}");
        assert_eq!(out.len(), limit.min(100_000));
    }
    // No message, no need of room.
    assert_eq!(inflater(true).inflate(&mut &[0][..], true, &mut BytesMut::new(), 0), Ok(Inflated::Done));
}

#[test]
fn a_bomb_ends_at_the_limit() {
    // 1000 : 1 is the most that DEFLATE can do.
    let wire = compressed(&mut Deflater::new(&PLAIN.with_level(9), &agreed(15, true)), &vec![0; 4 << 20]);
    assert!(wire.len() < (4 << 20) / 1000);
    let limit = 100_000;
    let mut out = BytesMut::new();
    let mut input = &wire[..];
    let memory = measure(|| {
        assert_eq!(inflater(true).inflate(&mut input, true, &mut out, limit), Ok(Inflated::Full));
    });
    assert_eq!(out.len(), limit);
    assert!(out.capacity() <= 2 * limit, "{}", out.capacity());
    assert!(memory.bytes_max <= 4 * limit as u64, "{memory:?}");
    assert!(input.len() > wire.len() / 2, "the rest was not even looked at");
}

#[test]
fn blocks_that_are_the_last_are_cheap_to_send_and_to_read() {
    // Two bytes each that yield nothing: starting afresh may not allocate.
    let wire: Vec<u8> = [0x03, 0x00].repeat(100_000);
    let mut inflater = inflater(true);
    assert_eq!(inflated(&mut inflater, &[&HELLO]), Ok(b"Hello".into()));
    let memory = measure(|| assert_eq!(inflated(&mut inflater, &[&wire]), Ok(vec![])));
    assert_eq!(memory.count_total, 0);
}

/// What the docs of [`Deflate`] promise, in bytes: by window bits, sending and receiving.
const PROMISED: [(u8, u64, u64); 8] = [
    (8, 256, 56),
    (9, 256, 56),
    (10, 258, 56),
    (11, 262, 56),
    (12, 270, 56),
    (13, 286, 56),
    (14, 318, 56),
    (15, 382, 56),
];

#[test]
fn memory_is_what_the_docs_say() {
    let message = noise(200_000);
    for (bits, sending, receiving) in PROMISED {
        for takeover in [true, false] {
            let (mut out, mut back) = (BytesMut::with_capacity(LIMIT), BytesMut::with_capacity(LIMIT));
            let agreed = agreed(bits, takeover);
            let mut kept = None;
            let memory = measure(|| {
                let mut deflater = Deflater::new(&PLAIN, &agreed);
                deflater.compress(&message, true, &mut out);
                kept = Some(deflater);
            });
            assert!(memory.bytes_max <= sending * 1024, "{bits}: {memory:?}");
            assert!(memory.bytes_max > (sending - 4) * 1024, "{bits}: the docs are far off: {memory:?}");
            assert_eq!(memory.bytes_current != 0, takeover, "{bits}: {memory:?}");
            let mut kept = None;
            let memory = measure(|| {
                let mut inflater = Inflater::new(&agreed);
                assert_eq!(inflater.inflate(&mut &out[..], true, &mut back, LIMIT), Ok(Inflated::Done));
                kept = Some(inflater);
            });
            assert_eq!(back, message);
            assert!(memory.bytes_max <= receiving * 1024, "{bits}: {memory:?}");
            assert!(memory.bytes_max > (receiving - 4) * 1024, "{bits}: the docs are far off: {memory:?}");
            assert_eq!(memory.bytes_current != 0, takeover, "{bits}: {memory:?}");
        }
    }
    let unused = measure(|| drop((deflater(15, true), inflater(true))));
    assert_eq!(unused.count_total, 0, "nothing before the first message");
}

#[test]
fn a_message_alone_in_its_window_gets_one_that_fits() {
    for (len, window) in [(64, 512), (250, 512), (251, 1024), (1024, 2048), (16_000, 16_384), (100_000, 32_768)] {
        // Noise alone would be sent as it is.
        let mut message: Vec<_> = noise(len).into_iter().map(|byte| byte >> 4).collect();
        message.copy_within(..32, len - 32);
        let mut wire = BytesMut::with_capacity(LIMIT);
        let alone = measure(|| deflater(15, false).compress(&message, true, &mut wire));
        // Two bytes for each of its bytes, and two for each of its positions, and 252 KiB for all windows alike.
        assert!(alone.bytes_max <= window * 4 + 252 * 1024, "{len}: {alone:?}");
        assert_eq!(inflated(&mut inflater(false), &[&wire]), Ok(message));
        let seen = oracle::inflate(&[&wire[..], &TAIL].concat()).expect("a valid stream");
        assert!(len > 32_000 || seen.max_distance >= len - 32, "{len}: its end can look back to its beginning");
    }
    // What was agreed on still holds.
    let wire = compressed(&mut deflater(9, false), &b"0123456789abcdef".repeat(4000));
    assert!(oracle::inflate(&[&wire[..], &TAIL].concat()).is_some_and(|seen| seen.max_distance <= 250));
}

#[test]
fn a_flush_that_fills_the_scratch_is_still_one_message() {
    // Plain blocks have sizes that are easy to foresee: one of these ends on the last byte of the scratch.
    let settings = PLAIN.with_level(0);
    let message = noise(8300);
    let mut deflater = Deflater::new(&settings, &agreed(15, true));
    let mut inflater = inflater(true);
    for len in 8150..8250 {
        let wire = compressed(&mut deflater, &message[..len]);
        assert_eq!(inflated(&mut inflater, &[&wire]).as_deref(), Ok(&message[..len]));
    }
}

#[test]
fn what_waits_after_the_last_byte_of_input_comes_out() {
    // A match of 258 bytes is a bit or two here: the last byte of the wire holds more than there is room for.
    let (mut deflater, mut inflater) = (deflater(15, true), inflater(true));
    for len in (8192 - 300..8192 + 300).step_by(7) {
        let message = vec![7; len];
        let wire = compressed(&mut deflater, &message);
        assert_eq!(inflated(&mut inflater, &[&wire]).as_ref(), Ok(&message));
        assert_eq!(inflated_by(&mut inflater, &wire, wire.len(), 258).as_ref(), Ok(&message));
    }
}

#[test]
fn a_window_of_512_bytes_never_looks_back_further_than_256() {
    // Bytes that repeat after exactly 245 to 262: what a matcher would reach for if it were allowed.
    for level in 0..=9 {
        let mut deflater = Deflater::new(&PLAIN.with_level(level), &agreed(8, true));
        let (mut wire, mut plain) = (Vec::new(), Vec::new());
        for period in 245..=262 {
            let unit = noise(period);
            for message in unit.repeat(20).chunks(1000) {
                wire.extend(compressed(&mut deflater, message));
                wire.extend(TAIL);
                plain.extend_from_slice(message);
            }
        }
        let seen = oracle::inflate(&wire).expect("a valid stream");
        assert!(seen.data == plain, "level {level}");
        assert!(seen.max_distance <= 250, "level {level}: {}", seen.max_distance);
        assert!(level == 0 || seen.max_distance > 240, "level {level}: the input tempts nobody");
    }
}

/// Text-like messages: words from a small set, with some noise.
fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let word = prop_oneof![
        4 => prop::sample::select(vec![&b"{\"price\":"[..], b"\"symbol\"", b"true,", b"0000000000", b"\xf0\x9f\xa6\x80"])
            .prop_map(Vec::from),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 0..3000_usize).prop_map(|(byte, times)| vec![byte; times]),
    ];
    prop::collection::vec(prop::collection::vec(word, 0..40).prop_map(|words| words.concat()), 1..5)
}

proptest! {
    #[test]
    fn what_is_sent_arrives(
        messages in messages(),
        own_bits in 8..=15_u8,
        peer_bits in 8..=15_u8,
        takeover: bool,
        level in 0..=9_u8,
        (in_cut, wire_cut, piece) in (1..5000_usize, 1..5000_usize, 1..70_000_usize),
    ) {
        let settings = PLAIN.with_level(level);
        let sends = Agreed { peer_window_bits: peer_bits, ..agreed(own_bits, takeover) };
        let receives = Agreed { own_window_bits: peer_bits, ..agreed(own_bits, takeover) };
        let (mut deflater, mut inflater) = (Deflater::new(&settings, &sends), Inflater::new(&receives));
        let mut stream = Vec::new();
        for message in &messages {
            let mut wire = BytesMut::new();
            let mut fragments = message.chunks(in_cut).peekable();
            loop {
                let fragment = fragments.next().unwrap_or_default();
                let last = fragments.peek().is_none();
                deflater.compress(fragment, last, &mut wire);
                if last {
                    break;
                }
            }
            let arrived = inflated_by(&mut inflater, &wire, wire_cut, piece);
            prop_assert_eq!(arrived.as_ref(), Ok(message));
            stream.extend_from_slice(&wire);
            stream.extend_from_slice(&TAIL);
        }
        // Any other inflater reads the messages as one raw stream, with a window of the size that was agreed on.
        let seen = oracle::inflate(&stream).expect("a valid stream");
        prop_assert_eq!(seen.data, messages.concat());
        prop_assert!(seen.max_distance <= 1 << own_bits);
    }

    #[test]
    fn hostile_bytes_hold_to_the_limit(
        wires in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..4),
        takeover: bool,
        (cut, limit) in (1..100_usize, 0..5000_usize),
    ) {
        let mut inflater = inflater(takeover);
        for wire in &wires {
            for fragment in wire.chunks(cut) {
                let (mut fragment, mut out) = (fragment, BytesMut::new());
                let _step = inflater.inflate(&mut fragment, false, &mut out, limit);
                prop_assert!(out.len() <= limit);
            }
            let mut out = BytesMut::new();
            let _step = inflater.inflate(&mut &[][..], true, &mut out, limit);
            prop_assert!(out.len() <= limit);
        }
    }

    #[test]
    fn a_changed_message_ends(
        message in messages(),
        (at, flip) in (any::<prop::sample::Index>(), 1..=255_u8),
        piece in 1..5000_usize,
    ) {
        let message = message.concat();
        let mut wire = compressed(&mut deflater(15, true), &message);
        let at = at.index(wire.len());
        wire[at] ^= flip;
        let answer = inflated_by(&mut inflater(true), &wire, 100, piece);
        // Where it is taken, another reader takes it in the same way.
        if let Ok(data) = answer {
            let seen = oracle::inflate(&[&wire[..], &TAIL].concat());
            prop_assert!(seen.is_none_or(|seen| seen.data == data));
        }
    }
}
