//! A second opinion for tests: DEFLATE (RFC 1951) read bit by bit, with nothing in common with zlib.

/// What a raw stream holds, and the largest distance that it looks back. Several streams may follow each other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Opinion {
    pub(super) data: Vec<u8>,
    pub(super) max_distance: usize,
}

/// Reads all blocks up to the end of `input`; `None` if it is broken or cut.
pub(super) fn inflate(input: &[u8]) -> Option<Opinion> {
    let mut bits = Bits { input, at: 0 };
    let mut seen = Opinion::default();
    while bits.at.div_ceil(8) < input.len() {
        let is_final = bits.take(1)? == 1;
        match bits.take(2)? {
            0 => {
                bits.align();
                let (len, check) = (bits.take(16)?, bits.take(16)?);
                if len != !check & 0xffff {
                    return None;
                }
                for _ in 0..len {
                    seen.data.push(bits.take(8)? as u8);
                }
            }
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                seen.block(&mut bits, &Code::new(&lengths), &Code::new(&[5; 30]))?;
            }
            2 => {
                let (literals, distances) = codes(&mut bits)?;
                seen.block(&mut bits, &literals, &distances)?;
            }
            _ => return None,
        }
        if is_final {
            bits.align();
        }
    }
    Some(seen)
}

impl Opinion {
    /// RFC 1951 §3.2.5.
    fn block(&mut self, bits: &mut Bits<'_>, literals: &Code, distances: &Code) -> Option<()> {
        loop {
            let symbol = bits.symbol(literals)?;
            let length = match symbol {
                0..=255 => {
                    self.data.push(symbol as u8);
                    continue;
                }
                256 => return Some(()),
                257..=264 => symbol - 254,
                265..=284 => {
                    let extra = (symbol - 261) / 4;
                    3 + ((4 + (symbol - 261) % 4) << extra) + bits.take(extra)?
                }
                285 => 258,
                _ => return None,
            };
            let symbol = bits.symbol(distances)?;
            let distance = if symbol < 4 {
                symbol + 1
            } else {
                let extra = symbol / 2 - 1;
                1 + ((2 + symbol % 2) << extra) + bits.take(extra)?
            };
            self.max_distance = self.max_distance.max(distance);
            let from = self.data.len().checked_sub(distance)?;
            for at in from..from + length {
                self.data.push(self.data[at]);
            }
        }
    }
}

/// RFC 1951 §3.2.7.
fn codes(bits: &mut Bits<'_>) -> Option<(Code, Code)> {
    let (literals, distances, count) = (bits.take(5)? + 257, bits.take(5)? + 1, bits.take(4)? + 4);
    let mut lengths = [0; 19];
    for at in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15].into_iter().take(count) {
        lengths[at] = bits.take(3)?;
    }
    let code = Code::new(&lengths);
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (value, times) = match bits.symbol(&code)? {
            16 => (*lengths.last()?, 3 + bits.take(2)?),
            17 => (0, 3 + bits.take(3)?),
            18 => (0, 11 + bits.take(7)?),
            length => (length, 1),
        };
        lengths.resize(lengths.len() + times, value);
    }
    Some((Code::new(lengths.get(..literals)?), Code::new(lengths.get(literals..)?)))
}

/// How many codes there are of each length, and their symbols in order (RFC 1951 §3.2.2).
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let of = |length| lengths.iter().enumerate().filter(move |(_, own)| **own == length).map(|(symbol, _)| symbol);
        let counts = std::array::from_fn(|length| if length == 0 { 0 } else { of(length).count() });
        Self { counts, symbols: (1..16).flat_map(of).collect() }
    }
}

struct Bits<'a> {
    input: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<usize> {
        let mut value = 0;
        for shift in 0..count {
            let byte = usize::from(*self.input.get(self.at / 8)?);
            value |= (byte >> (self.at % 8) & 1) << shift;
            self.at += 1;
        }
        Some(value)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }

    fn symbol(&mut self, code: &Code) -> Option<usize> {
        let (mut value, mut first, mut index) = (0, 0, 0);
        for count in &code.counts[1..] {
            value |= self.take(1)?;
            if value < first + count {
                return code.symbols.get(index + value - first).copied();
            }
            index += count;
            first = (first + count) << 1;
            value <<= 1;
        }
        None
    }
}
