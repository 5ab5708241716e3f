//! The header fields of a stored response: packed, until somebody asks for them.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use http::header::DATE;
use http::{HeaderMap, HeaderName, HeaderValue};
use netcomm_core::Redacted;

use crate::cache::groups;
use crate::cache::piece::Draft;

/// The header fields of a stored response.
///
/// Many a response is stored and never asked for again, so that what came over the wire is packed into one piece of
/// memory; a map is made of it, once, when one is asked for.
#[derive(Clone)]
pub struct Fields {
    /// All names and values, each field behind its [`Head`]. Empty if it was a map from the beginning.
    packed: Bytes,
    count: u32,
    names_groups: bool,
    map: OnceLock<Box<HeaderMap>>,
}

/// What stands before a packed field: the lengths of its name and its value, and whether the value is a secret.
struct Head;

impl Head {
    const BYTES: usize = 7;

    /// `None` where a length is beyond what is written.
    fn of(name: &str, value: &HeaderValue) -> Option<[u8; Self::BYTES]> {
        let [a, b] = u16::try_from(name.len()).ok()?.to_le_bytes();
        let [c, d, e, f] = u32::try_from(value.len()).ok()?.to_le_bytes();
        Some([a, b, c, d, e, f, value.is_sensitive().into()])
    }

    fn read(from: &[u8]) -> Option<(usize, usize, bool)> {
        let &[a, b, c, d, e, f, is_sensitive] = from.first_chunk::<{ Self::BYTES }>()?;
        let (name, value) = (u16::from_le_bytes([a, b]), u32::from_le_bytes([c, d, e, f]));
        Some((usize::from(name), usize::try_from(value).ok()?, is_sensitive != 0))
    }
}

impl Fields {
    /// Packs some of the fields, and `date` if they have none. No view of a receive buffer is kept, which would keep all
    /// of it. With `body`, a copy of that comes back if both are small enough to lie in one piece of memory.
    pub(crate) fn packed(
        fields: &HeaderMap,
        is_kept: impl Fn(&str) -> bool,
        date: impl FnOnce() -> Option<HeaderValue>,
        body: Option<&[u8]>,
    ) -> (Self, Option<Bytes>) {
        let mut packing = Packing { draft: Draft::new(), count: 0, names_groups: false };
        let mut is_dated = false;
        for (name, value) in fields {
            let text = name.as_str();
            if is_kept(text) {
                is_dated |= *name == DATE;
                if packing.push(text, value).is_none() {
                    return (Self::of_long(fields, is_kept), None);
                }
            }
        }
        if !is_dated && let Some(date) = date() {
            packing.push(DATE.as_str(), &date);
        }
        let (packed, body) = packing.draft.finish(body);
        let Packing { count, names_groups, .. } = packing;
        (Self { packed, count, names_groups, map: OnceLock::new() }, body)
    }

    /// A map after all, where a length is beyond what is written.
    #[cold]
    fn of_long(fields: &HeaderMap, is_kept: impl Fn(&str) -> bool) -> Self {
        let kept = fields.iter().filter(|(name, _)| is_kept(name.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect::<HeaderMap>().into()
    }

    /// The fields as a map. Made when it is first asked for.
    #[must_use]
    pub fn as_map(&self) -> &HeaderMap {
        self.map.get_or_init(|| Box::new(self.unpacked()))
    }

    /// The fields as a map of the caller's own.
    #[must_use]
    pub fn into_map(self) -> HeaderMap {
        match self.map.into_inner() {
            Some(map) => *map,
            None => Self { map: OnceLock::new(), ..self }.unpacked(),
        }
    }

    fn unpacked(&self) -> HeaderMap {
        let mut map = HeaderMap::try_with_capacity(self.count as usize).unwrap_or_default();
        let mut at = 0;
        while let Some((name_bytes, value_bytes, is_sensitive)) = Head::read(&self.packed[at..]) {
            let name = at + Head::BYTES..at + Head::BYTES + name_bytes;
            let value = name.end..name.end + value_bytes;
            at = value.end;
            let name = HeaderName::from_bytes(&self.packed[name]).expect("a name was packed");
            let mut value = HeaderValue::from_maybe_shared(self.packed.slice(value)).expect("a value was packed");
            value.set_sensitive(is_sensitive);
            map.append(name, value);
        }
        // With no more room than it needs: see `weight`.
        map.clone()
    }

    /// Whether the response may belong to a group.
    pub(crate) fn names_groups(&self) -> bool {
        self.names_groups
    }

    /// About how many bytes they take in memory beside this value, as a map.
    pub(crate) fn weight(&self) -> usize {
        /// For a name with its value: its place in the map, and in its index, which is a third larger and a power of two.
        const PLACE: usize = 104;
        const INDEX: usize = 4;
        /// For each value of a name but the first.
        const MORE: usize = 72;
        /// What counts the views of the packed fields.
        const COUNT: usize = 32;
        let index = |room: usize| (room + room / 3).next_power_of_two() * INDEX;
        let count = self.count as usize;
        if !self.packed.is_empty() {
            return size_of::<HeaderMap>() + COUNT + self.packed.len() + count * PLACE + index(count);
        }
        let map = self.as_map();
        let texts: usize = map.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let more = (map.len() - map.keys_len()) * MORE;
        size_of::<HeaderMap>() + texts + map.keys_len() * PLACE + index(map.capacity()) + more
    }
}

/// Fields on their way into one piece of memory.
struct Packing {
    draft: Draft,
    count: u32,
    names_groups: bool,
}

impl Packing {
    /// `None` where a length is beyond what is written.
    #[inline]
    fn push(&mut self, name: &str, value: &HeaderValue) -> Option<()> {
        self.draft.push(&Head::of(name, value)?, name.as_bytes(), value.as_bytes());
        self.count += 1;
        self.names_groups |= name == groups::FIELD;
        Some(())
    }
}

impl From<HeaderMap> for Fields {
    fn from(map: HeaderMap) -> Self {
        let names_groups = map.contains_key(groups::FIELD);
        let map = OnceLock::from(Box::new(map));
        Self { packed: Bytes::new(), count: 0, names_groups, map }
    }
}

impl Default for Fields {
    fn default() -> Self {
        Self { packed: Bytes::new(), count: 0, names_groups: false, map: OnceLock::new() }
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Redacted(self.as_map()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    fn packed(
        fields: &HeaderMap,
        is_kept: impl Fn(&str) -> bool,
        date: impl FnOnce() -> Option<HeaderValue>,
    ) -> Fields {
        Fields::packed(fields, is_kept, date, None).0
    }

    #[test]
    fn what_was_packed_comes_out_again() {
        let mut came =
            map(&[("content-type", "a/b"), ("x-own", ""), ("set-cookie", "a"), ("set-cookie", "b"), ("no", "1")]);
        let mut secret = HeaderValue::from_bytes(b"\xe4\t").expect("a value");
        secret.set_sensitive(true);
        came.insert("secret", secret);
        let fields = packed(&came, |name| name != "no", || Some(HeaderValue::from_static("now")));
        let mut expected = came.clone();
        expected.remove("no");
        expected.insert(DATE, HeaderValue::from_static("now"));
        assert_eq!(*fields.as_map(), expected);
        assert!(fields.as_map()["secret"].is_sensitive());
        let cookies: Vec<_> = fields.as_map().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a", "b"]);
        assert_eq!(fields.clone().into_map(), expected);
        assert_eq!(packed(&expected, |_| true, || None).into_map(), expected);
        assert!(Fields::default().as_map().is_empty());
    }

    #[test]
    fn a_small_body_lies_behind_the_head() {
        let came = map(&[("content-type", "a/b"), ("date", "now")]);
        for (body, is_small) in [(&b"body"[..], true), (&[], true), (&[b'x'; 100_000], false)] {
            let (fields, own) = Fields::packed(&came, |_| true, || None, Some(body));
            assert_eq!(*fields.as_map(), came);
            assert_eq!(own.as_deref(), is_small.then_some(body));
            assert_eq!(fields.weight(), packed(&came, |_| true, || None).weight(), "the body is no part of the head");
        }
    }

    #[test]
    fn a_date_that_is_there_stays() {
        let fields = packed(&map(&[("date", "then")]), |_| true, || unreachable!("it has one"));
        assert_eq!(fields.as_map()[DATE], "then");
    }

    #[test]
    fn groups_are_known_without_a_map() {
        for (came, expected) in [(map(&[("cache-groups", "\"a\"")]), true), (map(&[("cache-control", "a")]), false)] {
            assert_eq!(packed(&came, |_| true, || None).names_groups(), expected);
            assert_eq!(Fields::from(came).names_groups(), expected);
        }
    }

    #[test]
    fn no_field_keeps_what_it_came_in() {
        let buffer = Bytes::from(vec![b'x'; 8192]);
        let mut came = HeaderMap::new();
        came.insert("a", HeaderValue::from_maybe_shared(buffer.slice(..10)).expect("a value"));
        let fields = packed(&came, |_| true, || None);
        drop(came);
        assert!(buffer.is_unique());
        assert_eq!(fields.as_map()["a"], "xxxxxxxxxx");
    }

    #[test]
    fn packed_fields_weigh_no_less_than_their_map() {
        let came =
            map(&[("content-type", "a/b"), ("date", "now"), ("x", "1"), ("set-cookie", "a"), ("set-cookie", "b")]);
        let packed = packed(&came, |_| true, || None);
        let weight = packed.weight();
        assert!(weight >= Fields::from(packed.as_map().clone()).weight());
        assert_eq!(packed.weight(), weight, "being used makes no entry heavier");
    }
}
