//! Frames of a client turned into those of a server (RFC 6455 §5.2), written for this benchmark so that no peer meets
//! its own library on the other side.

use bytes::{BufMut, BytesMut};

use crate::error::{Result, fail};

const LONGEST_HEAD: usize = 14;
const MASKED: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const PING: u8 = 0x9;
/// From a ping to its answer.
const PING_TO_PONG: u8 = 0x3;

/// Gives back what it gets, whatever the pieces it comes in.
#[derive(Debug, Default)]
pub(super) struct Echo {
    head: [u8; LONGEST_HEAD],
    head_bytes: usize,
    /// Of the payload under way.
    left: u64,
    mask: [u8; 4],
}

impl Echo {
    /// Takes what has come and writes what is to go.
    pub(super) fn push(&mut self, mut input: &[u8], output: &mut BytesMut) -> Result<()> {
        while let Some((first, rest)) = input.split_first() {
            if self.left > 0 {
                input = self.payload(input, output);
                continue;
            }
            self.head[self.head_bytes] = *first;
            self.head_bytes += 1;
            input = rest;
            if self.head_bytes == head_length(self.head) {
                self.begin(output)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, output: &mut BytesMut) -> Result<()> {
        let (length_end, length) = match self.head[1] & !MASKED {
            126 => (4, u64::from(u16::from_be_bytes([self.head[2], self.head[3]]))),
            127 => {
                let mut length = [0; 8];
                length.copy_from_slice(&self.head[2..10]);
                (10, u64::from_be_bytes(length))
            }
            short => (2, u64::from(short)),
        };
        if self.head[1] & MASKED == 0 {
            return fail("a client has to mask");
        }
        self.mask.copy_from_slice(&self.head[length_end..length_end + 4]);
        self.left = length;
        self.head_bytes = 0;
        if self.head[0] & OPCODE == PING {
            self.head[0] ^= PING_TO_PONG;
        }
        self.head[1] &= !MASKED;
        output.put_slice(&self.head[..length_end]);
        Ok(())
    }

    fn payload<'a>(&mut self, input: &'a [u8], output: &mut BytesMut) -> &'a [u8] {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(input.len());
        let (now, rest) = input.split_at(length);
        let start = output.len();
        output.put_slice(now);
        unmask(&mut output[start..], self.mask);
        self.mask.rotate_left(length % 4);
        self.left -= length as u64;
        rest
    }
}

/// As long as the bytes so far say; more than there are while they do not say.
fn head_length(head: [u8; LONGEST_HEAD]) -> usize {
    match head[1] & !MASKED {
        126 => 8,
        127 => LONGEST_HEAD,
        _ => 6,
    }
}

fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let mut wide = [0; 32];
    for four in wide.chunks_exact_mut(4) {
        four.copy_from_slice(&mask);
    }
    let mut chunks = bytes.chunks_exact_mut(wide.len());
    for chunk in &mut chunks {
        for (byte, mask) in chunk.iter_mut().zip(wide) {
            *byte ^= mask;
        }
    }
    for (byte, mask) in chunks.into_remainder().iter_mut().zip(wide) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![first];
        match payload.len() {
            short @ 0..126 => frame.push(MASKED | short as u8),
            middle @ 126..65536 => {
                frame.push(MASKED | 126);
                frame.extend((middle as u16).to_be_bytes());
            }
            long => {
                frame.push(MASKED | 127);
                frame.extend((long as u64).to_be_bytes());
            }
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn any_split_gives_the_same() {
        let (middle, long) = (vec![7; 300], vec![9; 70_000]);
        let input = [frame(0x82, b""), frame(0x82, b"hello"), frame(0x01, &middle), frame(0x80, &long)].concat();
        let expected = [
            &[0x82, 0][..],
            &[0x82, 5],
            b"hello",
            &[0x01, 126, 1, 44],
            &middle,
            &[0x80, 127, 0, 0, 0, 0, 0, 1, 0x11, 0x70],
            &long,
        ]
        .concat();
        for size in [1, 2, 3, 7, 64, 1000, input.len()] {
            let (mut echo, mut output) = (Echo::default(), BytesMut::new());
            for piece in input.chunks(size) {
                echo.push(piece, &mut output).unwrap();
            }
            assert!(output == expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_ping_becomes_a_pong() {
        let (mut echo, mut output) = (Echo::default(), BytesMut::new());
        echo.push(&frame(0x89, b"id"), &mut output).unwrap();
        assert_eq!(&output[..], b"\x8a\x02id");
    }

    #[test]
    fn what_is_not_masked_is_refused() {
        assert!(Echo::default().push(b"\x82\x05hello", &mut BytesMut::new()).is_err());
    }
}
