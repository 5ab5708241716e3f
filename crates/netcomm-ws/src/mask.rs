//! Masks (RFC 6455 §5.3): pure, but for where the keys come from.

use bytes::BytesMut;
use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of keys that are fetched from the system at once.
const POOL_BYTES: usize = 256;

/// What is masked at once on its way from one place to another: small enough to stay in the first cache.
const BLOCK_BYTES: usize = 1024;

/// Masks `data`, or takes the mask off; `offset` is how many bytes of the payload came before.
pub(crate) fn apply(mask: [u8; 4], offset: usize, data: &mut [u8]) {
    let key = wide(mask, offset);
    let (words, rest) = data.as_chunks_mut::<16>();
    for word in words {
        *word = (u128::from_ne_bytes(*word) ^ key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// Appends `data`, masked, to `out`.
pub(crate) fn append(mask: [u8; 4], offset: usize, data: &[u8], out: &mut BytesMut) {
    if data.len() <= BLOCK_BYTES {
        let start = out.len();
        out.extend_from_slice(data);
        apply(mask, offset, &mut out[start..]);
        return;
    }
    // One pass over the memory in place of two. Blocks are whole words, so that the key is the same for each.
    #[expect(clippy::cast_possible_truncation, reason = "its half is the key twice")]
    let key = wide(mask, offset) as u64;
    let mut masked = [0; BLOCK_BYTES];
    out.reserve(data.len());
    for block in data.chunks(BLOCK_BYTES) {
        let masked = &mut masked[..block.len()];
        let (words, rest) = masked.as_chunks_mut::<8>();
        let (from, last) = block.as_chunks::<8>();
        for (word, from) in words.iter_mut().zip(from) {
            *word = (u64::from_ne_bytes(*from) ^ key).to_ne_bytes();
        }
        for ((byte, from), key) in rest.iter_mut().zip(last).zip(key.to_ne_bytes()) {
            *byte = from ^ key;
        }
        out.extend_from_slice(masked);
    }
}

/// The key four times, from where `offset` comes to stand in it.
fn wide(mask: [u8; 4], offset: usize) -> u128 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 24")]
    let turn = (offset % 4) as u32 * 8;
    let key = u32::from_le_bytes(mask).rotate_right(turn).to_le_bytes();
    u128::from(u32::from_ne_bytes(key)) * 0x0000_0001_0000_0001_0000_0001_0000_0001
}

/// Keys nobody can foresee (RFC 6455 §10.3): from the system, many at once.
pub(crate) struct Keys {
    system: SystemRandom,
    pool: [u8; POOL_BYTES],
    used: usize,
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { system: SystemRandom::new(), pool: [0; POOL_BYTES], used: POOL_BYTES }
    }

    pub(crate) fn next(&mut self) -> [u8; 4] {
        if self.used == POOL_BYTES {
            self.system.fill(&mut self.pool).expect("the system's source of chance does not fail once it works");
            self.used = 0;
        }
        let key = self.pool[self.used..].first_chunk().expect("the pool holds whole keys");
        self.used += key.len();
        *key
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn slowly(mask: [u8; 4], offset: usize, data: &mut [u8]) {
        for (at, byte) in data.iter_mut().enumerate() {
            *byte ^= mask[(offset + at) % 4];
        }
    }

    #[test]
    fn fast_is_as_slow_is() {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        for offset in 0..9 {
            for length in (0..140).chain([1000, 1023, 1024, 1025, 2048, 4099]) {
                let mut fast: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
                let original = fast.clone();
                let mut slow = fast.clone();
                apply(mask, offset, &mut fast);
                slowly(mask, offset, &mut slow);
                assert_eq!(fast, slow, "{offset} {length}");
                let mut out = BytesMut::from(&b"before"[..]);
                append(mask, offset, &original, &mut out);
                assert_eq!(&out[6..], slow, "{offset} {length}");
            }
        }
    }

    #[test]
    fn the_example_of_the_specification() {
        let mut hello = *b"Hello";
        apply([0x37, 0xfa, 0x21, 0x3d], 0, &mut hello);
        assert_eq!(hello, [0x7f, 0x9f, 0x4d, 0x51, 0x58]);
    }

    #[test]
    fn keys_do_not_repeat() {
        let mut keys = Keys::new();
        let seen: HashSet<_> = (0..1000).map(|_| keys.next()).collect();
        assert!(seen.len() > 990, "{}", seen.len());
    }
}
