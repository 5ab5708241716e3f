//! The types of events: few, and the same again and again.

use std::fmt;
use std::sync::Arc;

use netcomm_core::Text;

use super::text;
use crate::event::MESSAGE;

/// Which types are wanted. It is asked once for each type, and again when the type was forgotten in between.
pub type Filter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// So many are remembered, if none of them is longer than that: 1 KiB.
const REMEMBERED: u8 = 16;
const NAME_BYTES: usize = 64;

/// The type of the block that is read.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Kind {
    #[default]
    Message,
    Known(u8),
    /// The one in `long`.
    Long,
}

/// All types seen lately.
pub(super) struct Types {
    known: Vec<Known>,
    /// Which was seen last, and where the next new one goes.
    recent: u8,
    oldest: u8,
    /// One that is too long to be remembered after its block.
    long: Known,
    message: bool,
    filter: Option<Filter>,
}

struct Known {
    name: Text,
    is_wanted: bool,
}

impl Default for Types {
    fn default() -> Self {
        let long = Known { name: Text::default(), is_wanted: true };
        Self { known: Vec::new(), recent: 0, oldest: 0, long, message: true, filter: None }
    }
}

impl Types {
    pub(super) fn set_filter(&mut self, filter: Option<Filter>) {
        self.filter = filter;
        self.message = wants(self.filter.as_ref(), MESSAGE);
        for known in self.known.iter_mut().chain([&mut self.long]) {
            known.is_wanted = wants(self.filter.as_ref(), &known.name);
        }
    }

    pub(super) fn is_filtered(&self) -> bool {
        self.filter.is_some()
    }

    /// What an `event` field says; the empty one resets it.
    #[inline]
    pub(super) fn find(&mut self, name: &[u8]) -> Kind {
        if let Some(known) = self.known.get(usize::from(self.recent))
            && known.name.as_bytes() == name
        {
            return Kind::Known(self.recent);
        }
        self.find_other(name)
    }

    #[inline(never)]
    fn find_other(&mut self, name: &[u8]) -> Kind {
        if name.is_empty() || name == MESSAGE.as_bytes() {
            return Kind::Message;
        }
        if let Some(index) =
            (0..).zip(&self.known).find(|(_, known)| known.name.as_bytes() == name).map(|(index, _)| index)
        {
            self.recent = index;
            return Kind::Known(index);
        }
        let name = text::copy(name);
        let new = Known { is_wanted: wants(self.filter.as_ref(), &name), name };
        if new.name.len() > NAME_BYTES {
            self.long = new;
            return Kind::Long;
        }
        // The oldest makes room.
        self.recent = self.oldest;
        self.oldest = (self.oldest + 1) % REMEMBERED;
        match self.known.get_mut(usize::from(self.recent)) {
            Some(place) => *place = new,
            None => self.known.push(new),
        }
        Kind::Known(self.recent)
    }

    #[inline]
    pub(super) fn is_wanted(&self, kind: Kind) -> bool {
        match kind {
            Kind::Message => self.message,
            Kind::Known(index) => self.known[usize::from(index)].is_wanted,
            Kind::Long => self.long.is_wanted,
        }
    }

    /// The name, where the block is over.
    #[inline]
    pub(super) fn take_name(&mut self, kind: Kind) -> Text {
        match kind {
            Kind::Message => Text::from_static(MESSAGE),
            Kind::Known(index) => self.known[usize::from(index)].name.clone(),
            Kind::Long => std::mem::take(&mut self.long.name),
        }
    }

    /// The name, until the next block or chunk.
    #[inline]
    pub(super) fn name(&self, kind: Kind) -> &str {
        match kind {
            Kind::Message => MESSAGE,
            Kind::Known(index) => &self.known[usize::from(index)].name,
            Kind::Long => &self.long.name,
        }
    }

    /// A long name that was lent is needed no more, unless the block that is read has one.
    pub(super) fn rest(&mut self, kind: Kind) {
        if !self.long.name.is_empty() && !matches!(kind, Kind::Long) {
            self.long.name = Text::default();
        }
    }

    /// Nobody wants the name.
    #[inline]
    pub(super) fn forget(&mut self, kind: Kind) {
        if matches!(kind, Kind::Long) {
            self.long.name = Text::default();
        }
    }
}

fn wants(filter: Option<&Filter>, name: &str) -> bool {
    filter.is_none_or(|filter| filter(name))
}

impl fmt::Debug for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Types").field("known", &self.known.len()).field("is_filtered", &self.filter.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn types_are_shared_and_bounded() {
        let mut types = Types::default();
        let first = types.find(b"first");
        let name = types.take_name(first);
        for number in 0..15 {
            types.find(format!("{number}").as_bytes());
        }
        assert_eq!(types.find(b"first").index(), first.index());
        assert_eq!(types.take_name(first).as_ptr(), name.as_ptr(), "the same bytes");
        for number in 0..1000 {
            let kind = types.find(format!("another {number}").as_bytes());
            assert_eq!(types.take_name(kind), format!("another {number}").as_str());
        }
        assert_eq!(types.known.len(), usize::from(REMEMBERED));
        let long = types.find(&[b'x'; NAME_BYTES + 1]);
        assert_eq!(types.take_name(long).len(), NAME_BYTES + 1);
        assert_eq!(types.long.name, "");
        let long = types.find(&[b'x'; NAME_BYTES + 1]);
        types.forget(long);
        assert_eq!(types.long.name, "");
        assert!(matches!(types.find(b""), Kind::Message));
        assert!(matches!(types.find(b"message"), Kind::Message));
    }

    #[test]
    fn a_filter_is_asked_once_for_each() {
        let asked = Arc::new(AtomicUsize::new(0));
        let filter: Filter = Arc::new({
            let asked = asked.clone();
            move |name| {
                asked.fetch_add(1, Ordering::Relaxed);
                name == "b"
            }
        });
        let mut types = Types::default();
        let (a, b) = (types.find(b"a"), types.find(b"b"));
        types.set_filter(Some(filter));
        let before = asked.load(Ordering::Relaxed);
        for _ in 0..10 {
            assert!(!types.is_wanted(a) && types.is_wanted(b) && !types.is_wanted(Kind::Message));
            types.find(b"a");
            types.find(b"b");
        }
        assert_eq!(asked.load(Ordering::Relaxed), before);
        types.set_filter(None);
        assert!(types.is_wanted(a) && types.is_wanted(Kind::Message));
    }

    impl Kind {
        fn index(self) -> Option<u8> {
            if let Self::Known(index) = self { Some(index) } else { None }
        }
    }
}
