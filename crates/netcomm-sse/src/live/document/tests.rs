//! Tables and a property: whatever a stream loses, repeats or mixes up, the copy ends as the server's document.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::live::patch::Patch;

fn at(value: Value, sequence: u64) -> Document {
    let mut document = Document::new(LiveLimits::default());
    document.fetched(value, sequence, Some(HeaderValue::from_static("\"e\"")));
    document.opened(Some(sequence));
    document
}

fn merge(sequence: u64, patch: &Value) -> Change {
    Change::new(sequence, Patch::merge_value(patch.clone()))
}

fn value(document: &Document) -> Value {
    document.read().expect("any JSON")
}

#[test]
fn a_change_makes_the_etag_void() {
    let mut document = at(json!({"a": 1}), 5);
    assert!(matches!(document.apply(merge(5, &json!({"a": 9}))), Outcome::Old));
    assert!(matches!(document.apply(merge(7, &json!({"a": 9}))), Outcome::Gap(_)));
    assert!(document.etag().is_some(), "it is still what was fetched");
    assert!(matches!(document.apply(merge(6, &json!({"a": 2}))), Outcome::Applied));
    assert_eq!((document.etag(), document.reached(), value(&document)), (None, 6, json!({"a": 2})));
}

#[test]
fn what_failed_half_way_is_not_used_and_not_confirmed() {
    let mut document = at(json!({"a": 1}), 5);
    let patch = r#"[{"op":"replace","path":"/a","value":2},{"op":"remove","path":"/b"}]"#;
    let change = Change::new(6, Patch::operations(patch).expect("a patch"));
    assert!(matches!(document.apply(change), Outcome::Broken(_)));
    assert!(!document.is_whole() && document.etag().is_none());
    assert!(matches!(document.apply(merge(6, &json!({}))), Outcome::Broken(_)));
}

#[test]
fn a_number_that_was_guessed_and_is_wrong_is_not_guessed_again() {
    let mut document = at(json!({"a": 1}), 5);
    assert!(matches!(document.apply(merge(8, &json!({}))), Outcome::Gap(_)));
    document.confirmed(None);
    assert!(document.etag().is_some());
    assert!(matches!(document.apply(merge(8, &json!({}))), Outcome::Gap(_)));
    assert_eq!(document.etag(), None, "next time the whole of it is asked for");
    let mut document = at(json!({"a": 1}), 5);
    document.confirmed(Some(7));
    assert!(matches!(document.apply(merge(8, &json!({"a": 2}))), Outcome::Applied));
}

#[test]
fn smaller_numbers_are_believed_where_the_document_says_them() {
    let mut document = at(json!({"a": 1}), 100);
    document.apply(merge(101, &json!({"a": 2})));
    document.lost();
    document.opened(Some(101));
    assert!(matches!(document.apply(merge(1, &json!({"a": 3}))), Outcome::Anew(_)));
    document.fetched(json!({"a": 3}), 1, None);
    document.opened(Some(1));
    assert!(matches!(document.apply(merge(2, &json!({"a": 4}))), Outcome::Applied));
    assert_eq!(value(&document), json!({"a": 4}));
}

/// A server, its log, and the document after each change.
struct Server {
    log: Vec<Change>,
    states: Vec<Value>,
}

#[derive(Clone, Debug)]
enum Edit {
    Set(u8, i32),
    Remove(u8),
    Push(u8),
    Whole(BTreeMap<String, i32>),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..4_u8, any::<i32>()).prop_map(|(name, value)| Edit::Set(name, value)),
        (0..4_u8).prop_map(Edit::Remove),
        any::<u8>().prop_map(Edit::Push),
        prop::collection::btree_map("[a-d]", any::<i32>(), 0..3).prop_map(Edit::Whole),
    ]
}

impl Server {
    fn new(edits: &[Edit]) -> Self {
        let mut state = json!({"list": []});
        let (mut log, mut states) = (Vec::new(), vec![state.clone()]);
        for (at, edit) in edits.iter().enumerate() {
            let patch = match edit {
                Edit::Set(name, value) => {
                    state[format!("m{name}")] = json!(value);
                    Patch::merge_value(json!({format!("m{name}"): value}))
                }
                Edit::Remove(name) => {
                    let name = format!("m{name}");
                    state.as_object_mut().expect("an object").remove(&name);
                    Patch::merge_value(json!({name: null}))
                }
                // Not idempotent: applied twice, or not at all, it shows.
                Edit::Push(value) => {
                    state["list"].as_array_mut().expect("a list").push(json!(value));
                    let patch = json!([{"op": "add", "path": "/list/-", "value": value}]);
                    Patch::operations(patch.to_string()).expect("a patch")
                }
                Edit::Whole(members) => {
                    state = json!(members);
                    state["list"] = json!([at]);
                    Patch::whole_value(state.clone())
                }
            };
            log.push(Change::new(at as u64 + 1, patch));
            states.push(state.clone());
        }
        Self { log, states }
    }
}

proptest! {
    #[test]
    fn whatever_the_stream_does_the_copy_ends_as_the_document(
        edits in prop::collection::vec(edit(), 1..40),
        fate in prop::collection::vec((0..8_u8, 0..6_usize), 60),
        first in 0..40_usize,
    ) {
        let server = Server::new(&edits);
        let last = server.log.len();
        // Each change is lost, comes once, or comes twice; some come later than they should.
        let mut order: Vec<(usize, usize)> = Vec::new();
        for at in 0..last {
            let (kind, late) = fate[at % fate.len()];
            match kind {
                0 => {}
                1 => order.extend([(at, at), (at + late, at)]),
                2 => order.push((at + late, at)),
                _ => order.push((at, at)),
            }
        }
        order.sort();
        // The last word is heard: nobody can know of what is never told.
        order.push((usize::MAX, last - 1));

        let mut document = Document::new(LiveLimits::default());
        let first = first.min(last);
        document.fetched(server.states[first].clone(), first as u64, None);
        document.opened(None);
        let mut newest = first;
        for (_, at) in order {
            newest = newest.max(at + 1);
            match document.apply(server.log[at].clone()) {
                Outcome::Applied | Outcome::Old => {}
                Outcome::Gap(_) | Outcome::Anew(_) | Outcome::Broken(_) => {
                    document.fetched(server.states[newest].clone(), newest as u64, None);
                    document.opened(None);
                }
            }
            // Never half-way: what is there is some document that the server had, at its number.
            let reached = usize::try_from(document.reached()).expect("small");
            prop_assert_eq!(&value(&document), &server.states[reached]);
        }
        prop_assert_eq!(value(&document), server.states[last].clone());
    }
}
