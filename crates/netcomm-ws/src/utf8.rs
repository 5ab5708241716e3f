//! UTF-8 that comes in pieces (RFC 6455 §8.1): pure.

/// Checks text that comes in pieces; what can never become valid is told with the byte that shows it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Utf8 {
    /// The beginning of a character whose end has not come.
    begun: [u8; 4],
    length: usize,
}

/// The text is not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Invalid;

impl Utf8 {
    /// Looks at the next piece.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), Invalid> {
        while self.length > 0 {
            let Some((&byte, rest)) = piece.split_first() else {
                return Ok(());
            };
            piece = rest;
            self.begun[self.length] = byte;
            self.length += 1;
            match std::str::from_utf8(&self.begun[..self.length]) {
                Ok(_) => self.length = 0,
                // At four bytes a character is complete or wrong, so there is always room for the next one.
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(Invalid),
            }
        }
        if let Err(error) = std::str::from_utf8(piece) {
            if error.error_len().is_some() {
                return Err(Invalid);
            }
            let begun = &piece[error.valid_up_to()..];
            self.begun[..begun.len()].copy_from_slice(begun);
            self.length = begun.len();
        }
        Ok(())
    }

    /// How many bytes at the end belong to a character that is not complete.
    pub(crate) fn incomplete(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many of the bytes pass, one at a time.
    fn accepted(bytes: &[u8]) -> usize {
        let mut utf8 = Utf8::default();
        bytes.iter().take_while(|byte| utf8.push(std::slice::from_ref(byte)).is_ok()).count()
    }

    #[test]
    fn the_first_byte_that_cannot_be_is_refused() {
        for (bytes, good) in [
            (&b"\xce\xba\xe1\xbd\xb9"[..], 5),
            (b"\xed\xa0\x80", 1),
            (b"\xf4\x90\x80\x80", 1),
            (b"\xe0\x80", 1),
            (b"\xc0\xaf", 0),
            (b"\xf5", 0),
            (b"\x80", 0),
            (b"a\xce\xbab\xff", 4),
            (b"\xf0\x9f\x92", 3),
        ] {
            assert_eq!(accepted(bytes), good, "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_verdict(
            bytes in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..12),
                proptest::collection::vec(prop_oneof![Just(0xf0), Just(0x9f), Just(0x80), Just(0xce), Just(b'a')], 0..12),
            ],
            cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..4),
        ) {
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
            cuts.sort_unstable();
            let mut utf8 = Utf8::default();
            let valid = cuts.windows(2).all(|cut| utf8.push(&bytes[cut[0]..cut[1]]).is_ok());
            prop_assert_eq!(valid && utf8.incomplete() == 0, std::str::from_utf8(&bytes).is_ok());
        }
    }
}
