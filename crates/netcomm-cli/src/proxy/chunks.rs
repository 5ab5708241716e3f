//! The chunks of a request's content, read strictly (RFC 9112 §7.1): pure. Finds where the content ends.

use super::head::{MAX_FIELDS, MAX_HEAD_BYTES, field};
use super::refusal::Refusal;

/// Bytes of all extensions of the chunks of one body: nothing is known that has a use for them.
const MAX_EXTENSION_BYTES: usize = 16 * 1024;
/// Hexadecimal digits of a size.
const MAX_DIGITS: usize = 15;

/// Where the reading of the chunks stands.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    state: State,
    extension_bytes: usize,
    trailers: usize,
    trailer_bytes: usize,
    line: Vec<u8>,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Start,
    Size {
        digits: usize,
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataEnd,
    DataLineFeed,
    Trailer,
}

impl Chunks {
    /// Reads on. Gives how many of the bytes belong to the content, and whether it ends with them.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> Result<(usize, bool), Refusal> {
        let mut at = 0;
        while at < bytes.len() {
            if let State::Data { left } = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - at);
                at += here;
                let left = left - here as u64;
                self.state = if left == 0 { State::DataEnd } else { State::Data { left } };
                continue;
            }
            let ended = self.step(bytes[at])?;
            at += 1;
            if ended {
                return Ok((at, true));
            }
        }
        Ok((at, false))
    }

    /// One byte outside of data; whether it is the last of all.
    fn step(&mut self, byte: u8) -> Result<bool, Refusal> {
        let digit = char::from(byte).to_digit(16);
        self.state = match (&self.state, byte) {
            (State::Start, _) => match digit {
                Some(digit) => State::Size { digits: 1, size: digit.into() },
                None => return Err(Refusal::bad("a chunk without a size")),
            },
            (State::Size { digits, size }, _) if digit.is_some() => {
                if *digits == MAX_DIGITS {
                    return Err(Refusal::bad("the size of a chunk is too long"));
                }
                State::Size { digits: digits + 1, size: size * 16 + u64::from(digit.unwrap_or(0)) }
            }
            (State::Size { size, .. } | State::Extension { size }, b'\r') => State::SizeEnd { size: *size },
            (State::Size { size, .. }, b';') => State::Extension { size: *size },
            (State::Size { .. }, _) => return Err(Refusal::bad("the size of a chunk is not a number")),
            (State::Extension { size }, _) => {
                self.extension_bytes += 1;
                if self.extension_bytes > MAX_EXTENSION_BYTES {
                    return Err(Refusal::bad("the extensions of the chunks are longer than 16 KiB"));
                }
                if byte.is_ascii_control() && byte != b'\t' {
                    return Err(Refusal::bad("a control character in the extension of a chunk"));
                }
                State::Extension { size: *size }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::Trailer,
            (State::SizeEnd { size }, b'\n') => State::Data { left: *size },
            (State::DataEnd, b'\r') => State::DataLineFeed,
            (State::DataLineFeed, b'\n') => State::Start,
            // Data is passed over before.
            (State::SizeEnd { .. } | State::DataEnd | State::DataLineFeed | State::Data { .. }, _) => {
                return Err(Refusal::bad("a chunk or its size does not end in CR LF"));
            }
            (State::Trailer, _) => return self.trailer(byte),
        };
        Ok(false)
    }

    /// One byte of the trailer section.
    fn trailer(&mut self, byte: u8) -> Result<bool, Refusal> {
        self.line.push(byte);
        self.trailer_bytes += 1;
        if self.trailer_bytes > MAX_HEAD_BYTES {
            return Err(Refusal::bad("the trailers are longer than 64 KiB"));
        }
        if byte != b'\n' {
            return Ok(false);
        }
        let Some(line) = self.line.strip_suffix(b"\r\n") else {
            return Err(Refusal::bad("a trailer ends in a bare line feed"));
        };
        if line.is_empty() {
            return Ok(true);
        }
        field(line)?;
        self.line.clear();
        self.trailers += 1;
        if self.trailers > MAX_FIELDS {
            return Err(Refusal::bad("more than 100 trailers"));
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads in pieces of that size: where the content ends, or why it is refused.
    fn read(bytes: &[u8], piece: usize) -> Result<Option<usize>, &'static str> {
        let (mut chunks, mut at) = (Chunks::default(), 0);
        for piece in bytes.chunks(piece) {
            let (taken, ended) = chunks.advance(piece).map_err(|refusal| refusal.reason)?;
            at += taken;
            if ended {
                return Ok(Some(at));
            }
            assert_eq!(taken, piece.len());
        }
        Ok(None)
    }

    #[test]
    fn where_the_content_ends() {
        for (text, rest) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "GET / HTTP/1.1\r\n"),
            ("00a;x=\"y\"\r\n0123456789\r\n9\r\n0\r\n0\r\n0\r\n\r\n0\r\nT: 1\r\nU:\t\u{e4}\r\n\r\n", "\r\n"),
        ] {
            let whole = format!("{text}{rest}");
            for piece in 1..=whole.len() {
                assert_eq!(read(whole.as_bytes(), piece), Ok(Some(text.len())), "{text:?} in pieces of {piece}");
            }
            assert_eq!(read(&text.as_bytes()[..text.len() - 1], 4), Ok(None), "{text:?}");
        }
    }

    #[test]
    fn what_is_refused() {
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(200 * 1024));
        let (many, endless) = (format!("0\r\n{}\r\n", "t: x\r\n".repeat(101)), format!("0\r\n{}", "x".repeat(100_000)));
        for text in [
            "ZZ\r\n",
            "\r\n",
            "-5\r\nhello\r\n",
            "+5\r\nhello\r\n",
            "0x5\r\nhello\r\n",
            "5 \r\nhello\r\n",
            " 5\r\nhello\r\n",
            "5\nhello\n0\n\n",
            "5\r\nhello\n",
            "2\r\nhello\r\n",
            "5;a\nb\r\n",
            "5;a\0\r\n",
            "5;a\rb\r\n",
            "5\r\rhello",
            "FFFFFFFFFFFFFFFFFF\r\nhello\r\n",
            "0\r\nT : 1\r\n\r\n",
            "0\r\n T: 1\r\n\r\n",
            "0\r\nT: 1\n\r\n",
            "0\r\nT: a\rb\r\n\r\n",
            "0\r\n\n",
            &long,
            &many,
            &endless,
        ] {
            for piece in [1, 3, text.len()] {
                assert!(read(text.as_bytes(), piece).is_err(), "{:?} in pieces of {piece}", text.get(..40));
            }
        }
    }
}
