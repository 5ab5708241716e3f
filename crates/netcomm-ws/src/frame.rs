//! The head of a frame (RFC 6455 §5.2): pure.

use bytes::{BufMut, BytesMut};

use crate::violation::Violation;

/// The longest head: two bytes, a length of eight, a mask of four.
pub(crate) const MAX_HEAD_BYTES: usize = 14;
/// The longest payload of a control frame (RFC 6455 §5.5), in bytes.
pub(crate) const MAX_CONTROL_BYTES: usize = 125;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_AND_3: u8 = 0x30;
const MASKED: u8 = 0x80;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    Continuation = 0x0,
    Text = 0x1,
    Binary = 0x2,
    Close = 0x8,
    Ping = 0x9,
    Pong = 0xa,
}

impl Opcode {
    fn parse(nibble: u8) -> Result<Self, Violation> {
        match nibble {
            0x0 => Ok(Self::Continuation),
            0x1 => Ok(Self::Text),
            0x2 => Ok(Self::Binary),
            0x8 => Ok(Self::Close),
            0x9 => Ok(Self::Ping),
            0xa => Ok(Self::Pong),
            other => Err(Violation::Opcode(other)),
        }
    }

    pub(crate) const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) fin: bool,
    /// Set on the first frame of a compressed message (RFC 7692 §6). Whether it may be is the caller's to know.
    pub(crate) rsv1: bool,
    pub(crate) opcode: Opcode,
    pub(crate) payload_bytes: u64,
    pub(crate) mask: Option<[u8; 4]>,
}

impl Head {
    /// Reads the head at the front of `input`, and how long it is; `None` if it is not all there. What is there is
    /// checked at once.
    pub(crate) fn parse(input: &[u8]) -> Result<Option<(Self, usize)>, Violation> {
        let Some(&first) = input.first() else {
            return Ok(None);
        };
        if first & RSV2_AND_3 != 0 {
            return Err(Violation::ReservedBits);
        }
        let opcode = Opcode::parse(first & 0x0f)?;
        let fin = first & FIN != 0;
        if opcode.is_control() && !fin {
            return Err(Violation::FragmentedControl);
        }
        let Some(&second) = input.get(1) else {
            return Ok(None);
        };
        let short = second & !MASKED;
        if opcode.is_control() && usize::from(short) > MAX_CONTROL_BYTES {
            return Err(Violation::LongControl);
        }
        let rest = &input[2..];
        let (payload_bytes, rest, length_bytes) = match short {
            126 => {
                let Some((length, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (u64::from(u16::from_be_bytes(*length)), rest, 2)
            }
            127 => {
                let Some((length, rest)) = rest.split_first_chunk() else {
                    return Ok(None);
                };
                (u64::from_be_bytes(*length), rest, 8)
            }
            short => (u64::from(short), rest, 0),
        };
        // The shortest form is a must, and the first bit of the longest one is 0.
        let least = match length_bytes {
            0 => 0,
            2 => 126,
            _ => 1 << 16,
        };
        if payload_bytes < least || payload_bytes >> 63 != 0 {
            return Err(Violation::Length);
        }
        let mask = if second & MASKED == 0 {
            None
        } else if let Some(mask) = rest.first_chunk() {
            Some(*mask)
        } else {
            return Ok(None);
        };
        let head = Self { fin, rsv1: first & RSV1 != 0, opcode, payload_bytes, mask };
        Ok(Some((head, 2 + length_bytes + if mask.is_some() { 4 } else { 0 })))
    }

    /// Appends the head.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        let first = self.opcode as u8 | if self.fin { FIN } else { 0 } | if self.rsv1 { RSV1 } else { 0 };
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        // Written as one piece: each `put` asks for room anew.
        let mut head = [0; MAX_HEAD_BYTES];
        head[0] = first;
        let mut length = 2;
        match self.payload_bytes {
            #[expect(clippy::cast_possible_truncation, reason = "at most 125")]
            short @ 0..126 => head[1] = short as u8 | masked,
            #[expect(clippy::cast_possible_truncation, reason = "at most 65535")]
            middle @ 126..0x1_0000 => {
                head[1] = 126 | masked;
                head[2..4].copy_from_slice(&(middle as u16).to_be_bytes());
                length = 4;
            }
            long => {
                head[1] = 127 | masked;
                head[2..10].copy_from_slice(&long.to_be_bytes());
                length = 10;
            }
        }
        if let Some(mask) = self.mask {
            head[length..length + 4].copy_from_slice(&mask);
            length += 4;
        }
        out.put_slice(&head[..length]);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tungstenite::protocol::frame::FrameHeader;
    use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

    use super::*;

    fn head(opcode: Opcode, payload_bytes: u64) -> Head {
        Head { fin: true, rsv1: false, opcode, payload_bytes, mask: None }
    }

    #[test]
    fn examples_of_the_specification() {
        // RFC 6455 §5.7.
        let masked = Head { mask: Some([0x37, 0xfa, 0x21, 0x3d]), ..head(Opcode::Text, 5) };
        for (bytes, head) in [
            (&[0x81, 0x05][..], head(Opcode::Text, 5)),
            (&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d], masked),
            (&[0x01, 0x03], Head { fin: false, ..head(Opcode::Text, 3) }),
            (&[0x80, 0x02], head(Opcode::Continuation, 2)),
            (&[0x89, 0x05], head(Opcode::Ping, 5)),
            (&[0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d], Head { opcode: Opcode::Pong, ..masked }),
            (&[0x82, 0x7e, 0x01, 0x00], head(Opcode::Binary, 256)),
            (&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0], head(Opcode::Binary, 65536)),
        ] {
            assert_eq!(Head::parse(bytes), Ok(Some((head, bytes.len()))));
            for end in 0..bytes.len() {
                assert_eq!(Head::parse(&bytes[..end]), Ok(None), "{end} bytes of {bytes:?}");
            }
            let mut out = BytesMut::new();
            head.write(&mut out);
            assert_eq!(&out[..], bytes);
        }
    }

    #[test]
    fn what_breaks_the_rules_is_told_with_the_first_byte_that_shows_it() {
        for (bytes, violation) in [
            (&[0xa1][..], Violation::ReservedBits),
            (&[0x91], Violation::ReservedBits),
            (&[0x83], Violation::Opcode(3)),
            (&[0x8b], Violation::Opcode(11)),
            (&[0x8f], Violation::Opcode(15)),
            (&[0x09], Violation::FragmentedControl),
            (&[0x08], Violation::FragmentedControl),
            (&[0x89, 126], Violation::LongControl),
            (&[0x88, 0xff], Violation::LongControl),
            (&[0x82, 126, 0, 125], Violation::Length),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Violation::Length),
            (&[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Violation::Length),
        ] {
            assert_eq!(Head::parse(bytes), Err(violation), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_head_is_read_as_written(
            fin: bool,
            rsv1: bool,
            opcode in prop_oneof![
                Just(Opcode::Continuation), Just(Opcode::Text), Just(Opcode::Binary), Just(Opcode::Close),
            ],
            payload_bytes in prop_oneof![0_u64..200, 65_000_u64..66_000, 0..(1_u64 << 63)],
            mask: Option<[u8; 4]>,
        ) {
            let control = opcode.is_control();
            let payload_bytes = if control { payload_bytes % 126 } else { payload_bytes };
            let head = Head { fin: fin || control, rsv1, opcode, payload_bytes, mask };
            let mut out = BytesMut::new();
            head.write(&mut out);
            prop_assert_eq!(Head::parse(&out), Ok(Some((head, out.len()))));
        }

        #[test]
        fn the_second_opinion_agrees(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
            let second = FrameHeader::parse(&mut Cursor::new(&bytes[..]));
            match Head::parse(&bytes) {
                Ok(None) => {}
                Ok(Some((ours, _))) => {
                    let (theirs, length) = second.expect("no error").expect("all there");
                    let opcode = match theirs.opcode {
                        OpCode::Data(Data::Continue) => Opcode::Continuation,
                        OpCode::Data(Data::Text) => Opcode::Text,
                        OpCode::Data(Data::Binary) => Opcode::Binary,
                        OpCode::Control(Control::Close) => Opcode::Close,
                        OpCode::Control(Control::Ping) => Opcode::Ping,
                        OpCode::Control(Control::Pong) => Opcode::Pong,
                        other => panic!("{other:?}"),
                    };
                    prop_assert_eq!((theirs.is_final, theirs.rsv1, opcode, length, theirs.mask),
                        (ours.fin, ours.rsv1, ours.opcode, ours.payload_bytes, ours.mask));
                }
                // It reads reserved bits, long control frames and long forms of lengths, and judges some of them later.
                Err(Violation::Opcode(_)) => prop_assert!(second.is_err() || bytes.len() < 2 || second.is_ok()),
                Err(_) => {}
            }
        }
    }
}
