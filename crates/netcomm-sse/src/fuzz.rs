//! What the fuzz targets reach, and a second parser to hold the first against: built for tests alone.

use std::time::Duration;

use bytes::Bytes;
use netcomm_core::Text;

use crate::limits::{Limits, Oversize};
use crate::{Event, Item, ItemRef, MESSAGE, ParseError, Parser};

/// What a parser makes of a stream.
pub(crate) type Read = (Vec<Result<Item, ParseError>>, String);

/// Any stream, cut in any way, is read as the standard's text says, and limits make no difference to where it is cut. What
/// is lent is the same.
/// Input: flags, how it is cut, and the stream.
pub fn parser(data: &[u8]) {
    let [flags, cuts @ ..] = data else { return };
    let Some((cuts, stream)) = cuts.split_at_checked(usize::from(flags & 7)) else { return };
    let plain = || Parser::new().with_comments(flags & 8 == 0).with_last_event_id("before");
    let chunks = cut(stream, cuts);
    let read = read_chunks(plain(), &chunks);
    let (items, id) = reference(stream, flags & 8 == 0, "before");
    assert_eq!(read, (items.into_iter().map(Ok).collect(), id));
    assert_eq!(read_lent(plain(), &chunks, |_| true), read);
    let oversize = if flags & 16 == 0 { Oversize::Fail } else { Oversize::Skip };
    let small = usize::from(flags >> 5);
    let limits = Limits::default().with_line_bytes(small * 3).with_event_bytes(small * 2).with_oversize(oversize);
    let whole = read_chunks(plain().with_limits(limits), &[Bytes::copy_from_slice(stream)]);
    assert_eq!(read_chunks(plain().with_limits(limits), &chunks), whole);
    assert_eq!(read_lent(plain().with_limits(limits), &chunks, |at| at % 3 > 0), whole);
}

/// The stream in chunks of these sizes, again and again; at once without any.
pub(crate) fn cut(stream: &[u8], sizes: &[impl Copy + Into<usize>]) -> Vec<Bytes> {
    let (mut rest, mut chunks) = (stream, Vec::new());
    for &size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at(size.into().max(1).min(rest.len()));
        chunks.push(Bytes::copy_from_slice(chunk));
        rest = after;
    }
    chunks.push(Bytes::copy_from_slice(rest));
    chunks
}

/// All that the parser says of them, and the last event id that remains.
pub(crate) fn read_chunks(mut parser: Parser, chunks: &[Bytes]) -> Read {
    let mut items = Vec::new();
    for chunk in chunks {
        parser.feed(chunk.clone());
        items.extend(std::iter::from_fn(|| parser.next_item()));
    }
    parser.end();
    assert!(parser.next_item().is_none());
    (items, parser.last_event_id().to_owned())
}

/// The same by what the parser lends, where `lent` says so of the place of the item.
pub(crate) fn read_lent(mut parser: Parser, chunks: &[Bytes], lent: impl Fn(usize) -> bool) -> Read {
    let mut items = Vec::new();
    for chunk in chunks {
        parser.feed(chunk.clone());
        loop {
            let item = if lent(items.len()) {
                parser.next_ref().map(|item| item.map(ItemRef::to_item))
            } else {
                parser.next_item()
            };
            let Some(item) = item else { break };
            items.push(item);
        }
    }
    parser.end();
    assert!(parser.next_ref().is_none());
    (items, parser.last_event_id().to_owned())
}

/// The standard's text, word by word, without a thought of cost (WHATWG HTML §9.2.5 and §9.2.6). As browsers do it, the
/// last event id of the stream before is where that of this one begins.
pub(crate) fn reference(stream: &[u8], comments: bool, last_event_id: &str) -> (Vec<Item>, String) {
    let decoded = String::from_utf8_lossy(stream);
    let text = decoded.strip_prefix('\u{feff}').unwrap_or(&decoded);
    let mut items = Vec::new();
    let (mut data, mut event_type, mut id) = (String::new(), String::new(), last_event_id.to_owned());
    let mut last_event_id = last_event_id.to_owned();
    for line in lines(text) {
        if line.is_empty() {
            let is_new = last_event_id != id;
            last_event_id.clone_from(&id);
            if data.is_empty() {
                event_type.clear();
                if is_new {
                    items.push(Item::Id(Text::from(id.as_str())));
                }
                continue;
            }
            data.pop();
            let name = if event_type.is_empty() { MESSAGE } else { &event_type };
            items.push(Item::Event(Event::new(data.as_str()).with_type(name).with_id(id.as_str())));
            data.clear();
            event_type.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if line.starts_with(':') {
            if comments {
                items.push(Item::Comment(value.into()));
            }
            continue;
        }
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => event_type = value.to_owned(),
            "data" => data += &format!("{value}\n"),
            "id" if !value.contains('\0') => id = value.to_owned(),
            "retry" if !value.is_empty() && value.chars().all(|c| c.is_ascii_digit()) => {
                items.push(Item::Retry(Duration::from_millis(value.parse().unwrap_or(u64::MAX))));
            }
            _ => {}
        }
    }
    (items, last_event_id)
}

/// Those that have an end.
fn lines(text: &str) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while let Some(end) = rest.find(['\r', '\n']) {
        lines.push(&rest[..end]);
        let length = if rest[end..].starts_with("\r\n") { 2 } else { 1 };
        rest = &rest[end + length..];
    }
    lines
}
