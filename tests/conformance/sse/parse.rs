//! Cases of parsing: chunks in, and which events come with which last event id and which time to wait. Pure.

use netcomm_sse::{Item, Parser};
use serde::Deserialize;

use crate::score::Score;

/// One case.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    name: String,
    /// What comes from the wire, in hexadecimal digits.
    chunks_hex: Vec<String>,
    events: Vec<Seen>,
    r#final: End,
}

/// An event, and what held when it came.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct Seen {
    r#type: String,
    data: String,
    last_event_id: String,
    /// In milliseconds; none if the server named none.
    retry: Option<u64>,
}

/// What holds at the end.
#[derive(Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
struct End {
    last_event_id: String,
    retry: Option<u64>,
}

impl Case {
    pub(crate) fn read_all(json: &str) -> Result<Vec<Self>, serde_json::Error> {
        serde_json::from_str(json)
    }

    /// As its chunks come, as one, and byte by byte.
    fn check(&self) -> Result<(), String> {
        let chunks: Vec<Vec<u8>> = self.chunks_hex.iter().map(|chunk| decode(chunk)).collect::<Result<_, _>>()?;
        let whole = chunks.concat();
        let bytes: Vec<Vec<u8>> = whole.iter().map(|&byte| vec![byte]).collect();
        for (how, chunks) in [("as given", chunks), ("as one chunk", vec![whole]), ("byte by byte", bytes)] {
            self.check_chunks(chunks).map_err(|wrong| format!("{how}: {wrong}"))?;
        }
        Ok(())
    }

    fn check_chunks(&self, chunks: Vec<Vec<u8>>) -> Result<(), String> {
        let mut parser = Parser::new();
        let (mut events, mut retry) = (Vec::new(), None);
        for chunk in chunks {
            parser.feed(chunk);
            while let Some(item) = parser.next_item() {
                match item.map_err(|error| error.to_string())? {
                    Item::Event(event) => events.push(Seen {
                        r#type: event.event_type.to_string(),
                        data: event.data.to_string(),
                        last_event_id: event.id.to_string(),
                        retry,
                    }),
                    Item::Retry(after) => retry = u64::try_from(after.as_millis()).ok(),
                    _ => {}
                }
            }
        }
        parser.end();
        let end = End { last_event_id: parser.last_event_id().to_owned(), retry };
        if events != self.events {
            return Err(format!("events {events:?}, expected {:?}", self.events));
        }
        if end != self.r#final {
            return Err(format!("at the end {end:?}, expected {:?}", self.r#final));
        }
        Ok(())
    }
}

/// All cases, judged.
pub(crate) fn score(cases: &[Case]) -> Score {
    let mut score = Score::new("parse");
    for case in cases {
        score.add(&case.name, case.check());
    }
    score
}

fn decode(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect::<Option<_>>()
        .filter(|digits: &Vec<u8>| digits.len().is_multiple_of(2))
        .ok_or_else(|| format!("`{hex}` is not bytes in hexadecimal digits"))?;
    Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(chunk: &str, data: &str, retry: &str) -> String {
        let case = Case::read_all(&format!(
            r#"[{{"name": "x", "chunks_hex": ["{chunk}"], "final": {{"lastEventId": "", "retry": {retry}}},
                "events": [{{"type": "message", "data": "{data}", "lastEventId": "", "retry": null}}]}}]"#
        ));
        case.unwrap()[0].check().err().unwrap_or_default()
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert_eq!(case("646174613a310a0a", "1", "null"), "");
        assert!(case("646174613a310a0a", "2", "null").starts_with("as given: events [Seen"));
        assert!(case("646174613a310a0a", "1", "5").starts_with("as given: at the end End"));
        assert!(case("6", "1", "null").ends_with("is not bytes in hexadecimal digits"));
    }
}
