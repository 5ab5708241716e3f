//! Events that wait for a listener, one behind the other in memory that they share.

use std::collections::VecDeque;
use std::ops::Range;

use netcomm_core::{Queue, Text};

use crate::event::{Event, MESSAGE};
use crate::parser::EventRef;

/// Longer types, longer ids and more data are not copied: such an event waits as it came.
const NAME_BYTES: usize = 256;
const DATA_BYTES: usize = 32 * 1024;

/// So much memory stays while nothing waits.
const KEPT_BYTES: usize = 256;

/// So much text that was handed out may stay before what waits.
const SPENT_BYTES: usize = 4096;

/// A queue of events that costs each of them a copy of its text, and no memory of its own. They are lent from where they lie.
#[derive(Default)]
pub(crate) struct Log {
    /// Of each event its type and its id, unless they are those of the event before, and its data.
    text: String,
    places: VecDeque<Place>,
    /// Those that wait as they came, behind the one that was [lent](Self::is_lent).
    whole: VecDeque<Event>,
    /// Where the text of the first event begins.
    at: usize,
    /// The type and the id before it, and after the last event.
    front: Names,
    back: Names,
    /// What they were made for an event to keep.
    made: Made,
    /// The first of those that came whole was lent last, and waits no more.
    is_lent: bool,
}

/// An event in the text, by how long its parts are, and all of them.
#[derive(Clone, Copy)]
struct Place {
    event_type: u32,
    id: u32,
    data: u32,
    weight: u32,
}

/// In the place of a length: as of the event before.
const SAME: u32 = u32::MAX;

/// This event is no text.
const WHOLE: Place = Place { event_type: SAME, id: SAME, data: u32::MAX, weight: 0 };

#[derive(Clone, Debug, Default)]
struct Names {
    event_type: Range<usize>,
    id: Range<usize>,
}

#[derive(Debug, Default)]
struct Made {
    event_type: Option<Text>,
    id: Option<Text>,
}

impl Log {
    /// Whether events with so long a type, so long an id and so much data are copied.
    #[inline]
    pub(super) fn copies(event_type: usize, id: usize, data: usize) -> bool {
        event_type <= NAME_BYTES && id <= NAME_BYTES && data <= DATA_BYTES
    }

    /// Adds a copy of an event that is [small](Self::copies).
    #[inline]
    pub(super) fn push_ref(&mut self, event: EventRef<'_>) {
        self.make_room();
        let place = Place {
            event_type: push_name(&mut self.text, &mut self.back.event_type, event.event_type),
            id: push_name(&mut self.text, &mut self.back.id, event.id),
            data: length(event.data.len()),
            weight: length(weight(event)),
        };
        self.text.push_str(event.data);
        self.places.push_back(place);
    }

    /// Adds an event.
    pub(super) fn push(&mut self, event: Event) {
        if Self::copies(event.event_type.len(), event.id.len(), event.data.len()) {
            return self.push_ref(EventRef::from(&event));
        }
        self.make_room();
        self.whole.push_back(event);
        self.places.push_back(WHOLE);
    }

    /// Takes the first event out, lent until the log is asked for something else.
    #[inline]
    pub(super) fn next(&mut self) -> Option<EventRef<'_>> {
        let place = self.places.pop_front()?;
        if place.is_whole() {
            return self.lend_whole();
        }
        let data = self.pass(place);
        let Names { event_type, id } = &self.front;
        let text = |part: &Range<usize>| &self.text[part.start..part.end];
        Some(EventRef::new(text(event_type), text(&data), text(id)))
    }

    #[cold]
    fn lend_whole(&mut self) -> Option<EventRef<'_>> {
        self.drop_lent();
        self.is_lent = true;
        self.whole.front().map(EventRef::from)
    }

    #[cold]
    fn pop_whole(&mut self) -> Option<Event> {
        self.drop_lent();
        self.whole.pop_front()
    }

    #[cold]
    fn whole_bytes(&self) -> usize {
        self.whole.get(usize::from(self.is_lent)).map_or(0, |event| weight(event.into()))
    }

    fn drop_lent(&mut self) {
        if std::mem::take(&mut self.is_lent) {
            self.whole.pop_front();
        }
    }

    /// Goes over that event: where its data lie.
    #[inline]
    fn pass(&mut self, place: Place) -> Range<usize> {
        let mut at = self.at;
        if place.event_type != SAME {
            self.front.event_type = at..at + place.event_type as usize;
            self.made.event_type = None;
            at = self.front.event_type.end;
        }
        if place.id != SAME {
            self.front.id = at..at + place.id as usize;
            self.made.id = None;
            at = self.front.id.end;
        }
        self.at = at + place.data as usize;
        at..self.at
    }

    /// Text that was handed out goes, if it is all there is, or half of much.
    #[inline]
    fn make_room(&mut self) {
        if self.places.is_empty() {
            self.begin();
        } else if self.at > SPENT_BYTES && self.at > self.text.len() / 2 {
            self.compact();
        }
    }

    #[cold]
    fn compact(&mut self) {
        let Self { text, at, front, back, .. } = self;
        let mut kept = String::with_capacity(2 * NAME_BYTES);
        // Where nothing that waits has another one, the last one is the first.
        let mut keep = |first: &mut Range<usize>, last: &mut Range<usize>| {
            let is_last = *first == *last;
            let start = kept.len();
            kept.push_str(&text[first.clone()]);
            *first = start..kept.len();
            if is_last {
                last.clone_from(first);
            }
            is_last
        };
        let is_type = keep(&mut front.event_type, &mut back.event_type);
        let is_id = keep(&mut front.id, &mut back.id);
        for (last, is_placed) in [(&mut back.event_type, is_type), (&mut back.id, is_id)] {
            if !is_placed {
                *last = last.start - *at + kept.len()..last.end - *at + kept.len();
            }
        }
        text.replace_range(..*at, &kept);
        *at = kept.len();
    }

    /// What was lent last is not needed any more, and all that waited is gone.
    fn begin(&mut self) {
        self.text.clear();
        self.at = 0;
        (self.front, self.back, self.made) = Default::default();
    }
}

impl Place {
    #[inline]
    fn is_whole(self) -> bool {
        self.data == WHOLE.data
    }
}

/// Adds a type or an id, unless it is the one at that place, and notes its place.
#[inline]
fn push_name(text: &mut String, known: &mut Range<usize>, name: &str) -> u32 {
    if is_same(&text.as_bytes()[known.start..known.end], name.as_bytes()) { SAME } else { add_name(text, known, name) }
}

#[inline(never)]
fn add_name(text: &mut String, known: &mut Range<usize>, name: &str) -> u32 {
    *known = text.len()..text.len() + name.len();
    text.push_str(name);
    length(name.len())
}

/// Whether two names are the same. Most are short: a call for each costs more than to look at them, and where they are
/// empty, and so lie nowhere, some processors stumble over it.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && match one.len() {
            0 => true,
            4..8 => one.first_chunk::<4>() == other.first_chunk() && one.last_chunk::<4>() == other.last_chunk(),
            8..=16 => one.first_chunk::<8>() == other.first_chunk() && one.last_chunk::<8>() == other.last_chunk(),
            _ => one == other,
        }
}

/// Of what is [small](Log::copies).
#[inline]
fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// A name that was made for the event before, or is made for this one. It is kept for the next where that has the same.
#[inline]
fn name(made: &mut Option<Text>, is_kept: bool, make: impl FnOnce() -> Text) -> Text {
    if is_kept { made.get_or_insert_with(make).clone() } else { made.take().unwrap_or_else(make) }
}

/// How many bytes an event weighs.
#[inline]
pub(super) fn weight(event: EventRef<'_>) -> usize {
    event.data.len() + event.event_type.len() + event.id.len()
}

impl Queue for Log {
    type Item = Event;

    #[inline]
    fn len(&self) -> usize {
        self.places.len()
    }

    #[inline]
    fn first_bytes(&self) -> usize {
        let Some(place) = self.places.front() else { return 0 };
        if place.is_whole() { self.whole_bytes() } else { place.weight as usize }
    }

    /// Events that follow each other share their type, and their id if it is the same.
    fn pop(&mut self) -> Option<Event> {
        let place = self.places.pop_front()?;
        if place.is_whole() {
            return self.pop_whole();
        }
        let data = self.pass(place);
        let Self { text, front, made, places, .. } = self;
        let next = places.front().copied().unwrap_or(WHOLE);
        let event_type =
            name(&mut made.event_type, next.event_type == SAME, || match &text[front.event_type.clone()] {
                MESSAGE => Text::from_static(MESSAGE),
                other => other.into(),
            });
        let id = name(&mut made.id, next.id == SAME, || text[front.id.clone()].into());
        Some(Event { event_type, data: text[data].into(), id })
    }

    fn move_first(&mut self, to: &mut Self) {
        match self.places.front() {
            Some(place) if place.is_whole() => {
                self.places.pop_front();
                self.pop_whole().into_iter().for_each(|event| to.push(event));
            }
            _ => self.next().into_iter().for_each(|event| to.push_ref(event)),
        }
    }

    fn reserve(&mut self, items: usize, bytes: usize) {
        self.places.reserve(items);
        self.text.reserve(bytes);
    }

    fn rest(&mut self) {
        self.begin();
        if self.text.capacity() > KEPT_BYTES {
            self.text = String::new();
        }
        if self.places.capacity() > KEPT_BYTES / size_of::<Place>() {
            self.places = VecDeque::new();
        }
        self.whole = VecDeque::new();
        self.is_lent = false;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event() -> impl Strategy<Value = Event> {
        let name = || prop_oneof![4 => "[ab]{0,2}", 1 => "[ä-ü]{1,3}", 1 => "a{250,260}"];
        let event_type = prop_oneof![3 => Just(MESSAGE.to_owned()), 2 => name()];
        let data =
            prop_oneof![8 => "[x-zß]{0,40}", 1 => Just("y".repeat(DATA_BYTES)), 1 => Just("z".repeat(DATA_BYTES + 1))];
        (event_type, name(), data).prop_map(|(event_type, id, data)| Event::new(data).with_type(event_type).with_id(id))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push(Event),
        Next,
        Pop,
        MoveFirst,
        MoveAll,
        Swap,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => event().prop_map(Step::Push),
            2 => Just(Step::Next),
            2 => Just(Step::Pop),
            2 => Just(Step::MoveFirst),
            1 => Just(Step::MoveAll),
            1 => Just(Step::Swap),
        ]
    }

    proptest! {
        /// Two logs are what two queues of events would be.
        #[test]
        fn a_log_is_a_queue(steps in prop::collection::vec(step(), 0..60)) {
            let (mut log, mut other) = (Log::default(), Log::default());
            let (mut model, mut other_model) = (VecDeque::new(), VecDeque::new());
            for step in steps {
                match step {
                    Step::Push(event) => {
                        model.push_back(event.clone());
                        log.push(event);
                    }
                    Step::Next => {
                        let expected = model.pop_front();
                        prop_assert_eq!(log.next(), expected.as_ref().map(EventRef::from));
                    }
                    Step::Pop => prop_assert_eq!(log.pop(), model.pop_front()),
                    Step::MoveFirst => {
                        log.move_first(&mut other);
                        other_model.extend(model.pop_front());
                    }
                    Step::MoveAll => {
                        log.move_all(&mut other);
                        other_model.append(&mut model);
                    }
                    Step::Swap => {
                        std::mem::swap(&mut log, &mut other);
                        std::mem::swap(&mut model, &mut other_model);
                    }
                }
                if log.is_empty() {
                    log.rest();
                    prop_assert!(log.text.capacity() <= KEPT_BYTES && log.places.capacity() <= KEPT_BYTES);
                    prop_assert!(log.whole.capacity() == 0);
                }
                prop_assert_eq!(log.len(), model.len());
                let bytes = model.front().map_or(0, |event| weight(EventRef::from(event)));
                prop_assert_eq!(log.first_bytes(), bytes);
            }
        }
    }

    #[test]
    fn names_are_the_same_in_all_their_bytes() {
        for length in 0..40 {
            let name: Vec<u8> = (0..length).collect();
            assert!(is_same(&name, &name.clone()));
            assert!(!is_same(&name, &[&*name, &[length]].concat()));
            for at in 0..name.len() {
                let mut other = name.clone();
                other[at] ^= 0x80;
                assert!(!is_same(&name, &other), "{length} {at}");
            }
        }
    }

    #[test]
    fn what_was_handed_out_does_not_stay() {
        let (mut log, mut dropped) = (Log::default(), Log::default());
        for number in 0..10_000 {
            // The type changes seldom, the id now and then.
            let event = Event::new(number.to_string())
                .with_type(format!("t{}", number / 4000))
                .with_id((number / 3).to_string());
            log.push(event.clone());
            if number >= 5 {
                log.move_first(&mut dropped);
                assert_eq!(dropped.pop().unwrap().data, (number - 5).to_string().as_str());
            }
            assert!(log.text.len() < 2 * SPENT_BYTES, "{}", log.text.len());
        }
        let left: Vec<_> =
            std::iter::from_fn(|| log.pop()).map(|event| (event.event_type, event.data, event.id)).collect();
        assert_eq!(left[0], ("t2".into(), "9995".into(), "3331".into()));
        assert_eq!(left[4], ("t2".into(), "9999".into(), "3333".into()));
    }

    #[test]
    fn what_is_the_same_is_there_once() {
        let mut log = Log::default();
        for number in 0..3 {
            log.push(Event::new(number.to_string()).with_type("tick").with_id("seven"));
        }
        assert_eq!(log.text, "tickseven012");
        let (first, second) = (log.pop().unwrap(), log.pop().unwrap());
        assert_eq!(first.event_type.as_ptr(), second.event_type.as_ptr());
        assert_eq!(first.id.as_ptr(), second.id.as_ptr());
        assert_eq!(log.next().unwrap().data, "2");
    }
}
