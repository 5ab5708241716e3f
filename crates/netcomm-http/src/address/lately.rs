//! Addresses that were asked for lately, so that one that is asked for over and over is read but once.

use super::{Address, Spelled};

/// Addresses that are kept; a power of two. Each has one place where it can lie.
const PLACES: usize = 32;
/// Longer ones are read anew each time.
const MOST_BYTES: usize = 512;

/// Some addresses in canonical form. What is counted of them while they are used is shared with nobody.
#[derive(Debug, Default)]
pub(crate) struct Lately {
    /// Empty until something is looked for.
    places: Vec<Place>,
}

#[derive(Clone, Debug, Default)]
struct Place {
    /// Of what was looked for last.
    mark: u64,
    address: Option<Box<Address>>,
}

/// What is known of an address.
#[derive(Debug)]
pub(crate) enum Found {
    Known(Address),
    /// It is looked for once more: to be kept under that mark.
    Again(u64),
    New,
}

impl Lately {
    /// Looks for an address by the way in which it is written.
    pub(crate) fn find(&mut self, spelled: Spelled<'_>) -> Found {
        if spelled.authority.len() + spelled.path.len() > MOST_BYTES {
            return Found::New;
        }
        if self.places.is_empty() {
            self.places.resize(PLACES, Place::default());
        }
        let mark = mark(spelled);
        let place = &mut self.places[place(mark)];
        if place.mark != mark {
            place.mark = mark;
            return Found::New;
        }
        match &place.address {
            Some(address) if address.spelled() == Some(spelled) => Found::Known(Address::clone(address)),
            _ => Found::Again(mark),
        }
    }

    /// Keeps what an address was read as, if it is written as it reads.
    pub(crate) fn keep(&mut self, as_written: u64, address: &Address) {
        if address.spelled().map(mark) == Some(as_written)
            && let Some(kept) = self.places.get_mut(place(as_written))
        {
            kept.address = address.apart().map(Box::new);
        }
    }
}

/// Tells most addresses apart.
fn mark(spelled: Spelled<'_>) -> u64 {
    let mut mark = u64::from(spelled.is_secure) + 1;
    let mut add = |word: u64| mark = (mark.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    for text in [spelled.authority, spelled.path] {
        let (words, rest) = text.as_bytes().as_chunks::<8>();
        words.iter().for_each(|word| add(u64::from_le_bytes(*word)));
        add(rest.iter().fold(text.len() as u64, |word, byte| word << 8 | u64::from(*byte)));
    }
    mark
}

fn place(mark: u64) -> usize {
    // The highest bits depend on all that was multiplied.
    (mark >> 32) as usize % PLACES
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::super::sealed::IntoAddress as _;
    use super::*;

    fn find(lately: &mut Lately, text: &str) -> Found {
        lately.find(text.spelled().expect(text))
    }

    #[test]
    fn an_address_is_known_from_the_third_time_on_however_it_is_given() {
        let mut lately = Lately::default();
        let text = "https://a.example:8443/x?y=1";
        assert!(matches!(find(&mut lately, text), Found::New));
        let Found::Again(mark) = find(&mut lately, text) else { panic!("it was looked for before") };
        let address = Address::parse(text, None).expect(text);
        lately.keep(mark, &address);
        let uri: Uri = text.parse().expect(text);
        for spelled in [text.spelled(), uri.spelled()] {
            let Found::Known(known) = lately.find(spelled.expect(text)) else { panic!("it was kept") };
            assert_eq!((&known.uri, known.origin.port(), known.origin.host()), (&uri, 8443, "a.example"));
            assert_ne!(known.uri.path().as_ptr(), address.uri.path().as_ptr(), "a copy of its own");
        }
        for other in ["https://a.example:8443/x?y=2", "http://a.example:8443/x?y=1", "https://a.example/x?y=1"] {
            assert!(matches!(find(&mut lately, other), Found::New), "{other}");
        }
    }

    #[test]
    fn what_is_not_written_as_it_reads_is_not_kept() {
        for (text, reads) in [
            ("https://A.example/", "https://a.example/"),
            ("https://a.example", "https://a.example/"),
            ("https://a.example/b/../c", "https://a.example/c"),
            ("https://a.example:443/", "https://a.example/"),
            ("https://a.example/#f", "https://a.example/"),
            // As it is taken where paths stay as they are: canonical it is not.
            ("https://a.example/b/../c", "https://a.example/b/../c"),
        ] {
            let mut lately = Lately::default();
            let uri: Uri = reads.parse().expect(reads);
            let origin = crate::origin::Origin::of(&uri).expect(reads);
            for _ in 0..3 {
                if let Found::Again(mark) = find(&mut lately, text) {
                    lately.keep(mark, &Address { uri: uri.clone(), origin: origin.clone(), user: None });
                }
            }
            assert!(!matches!(find(&mut lately, text), Found::Known(_)), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_an_address_is_not_looked_for() {
        for text in ["/x", "x", "ftp://a.example/", ""] {
            assert!(text.spelled().is_none(), "{text}");
        }
        let mut lately = Lately::default();
        let long = format!("https://a.example/{}", "x".repeat(MOST_BYTES));
        for _ in 0..2 {
            assert!(matches!(find(&mut lately, &long), Found::New));
        }
    }
}
