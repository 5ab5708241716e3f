//! Masks (RFC 6455 §5.3): pure, but for where the keys come from.

use ring::rand::{SecureRandom, SystemRandom};

/// Bytes of keys that are fetched from the system at once.
const POOL_BYTES: usize = 256;

/// As many bytes as are masked in one step: a few registers of the smallest machine.
const STEP: usize = 32;

/// Masks `data`, or takes the mask off; `offset` is how many bytes of the payload came before.
pub(crate) fn apply(mask: [u8; 4], offset: usize, data: &mut [u8]) {
    let mut key = mask;
    key.rotate_left(offset % 4);
    let mut wide = [0; STEP];
    for (byte, key) in wide.iter_mut().zip(key.iter().cycle()) {
        *byte = *key;
    }
    let (steps, rest) = data.as_chunks_mut::<STEP>();
    for step in steps {
        for (byte, key) in step.iter_mut().zip(&wide) {
            *byte ^= key;
        }
    }
    for (byte, key) in rest.iter_mut().zip(&wide) {
        *byte ^= key;
    }
}

/// Keys nobody can foresee (RFC 6455 §10.3): from the system, many at once.
pub(crate) struct Keys {
    source: Source,
    pool: [u8; POOL_BYTES],
    used: usize,
}

enum Source {
    System(SystemRandom),
    /// Always the same, in tests.
    #[cfg(test)]
    Fixed([u8; 4]),
}

impl Keys {
    pub(crate) fn new() -> Self {
        Self { source: Source::System(SystemRandom::new()), pool: [0; POOL_BYTES], used: POOL_BYTES }
    }

    #[cfg(test)]
    pub(crate) fn fixed(key: [u8; 4]) -> Self {
        Self { source: Source::Fixed(key), pool: [0; POOL_BYTES], used: POOL_BYTES }
    }

    pub(crate) fn next(&mut self) -> [u8; 4] {
        if self.used == POOL_BYTES {
            match &self.source {
                Source::System(system) => {
                    system.fill(&mut self.pool).expect("the system's source of chance does not fail once it works");
                }
                #[cfg(test)]
                Source::Fixed(key) => return *key,
            }
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
            for length in (0..140).chain([1000, 4096]) {
                let mut fast: Vec<u8> = (0..length).map(|at| (at * 31 % 251) as u8).collect();
                let mut slow = fast.clone();
                apply(mask, offset, &mut fast);
                slowly(mask, offset, &mut slow);
                assert_eq!(fast, slow, "{offset} {length}");
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
