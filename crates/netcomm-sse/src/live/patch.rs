//! What a change does to a document: the one room that names the library of RFC 6902. Pure.

use std::fmt;

use json_patch::{PatchOperation, patch_unsafe};
use netcomm_core::{Error, ErrorKind, Result};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::limits::LiveLimits;

const OPERATION: &str = "apply change";

/// Levels of arrays and objects in each other: as many as serde_json reads. Whatever walks a document walks no deeper.
const DEPTH: usize = 128;

/// What a [`Change`](super::Change) does to the document.
#[derive(Clone)]
pub struct Patch(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Merge(Value),
    Operations(Vec<PatchOperation>),
    Whole(Value),
}

impl Patch {
    /// A merge patch (RFC 7396), as JSON: members are replaced, or taken out by `null`; objects are merged.
    ///
    /// # Errors
    ///
    /// `Decode` for what is no JSON, or more than 128 levels deep.
    pub fn merge(json: impl AsRef<[u8]>) -> Result<Self> {
        parse(json.as_ref()).map(Self::merge_value)
    }

    /// A JSON patch (RFC 6902): a list of operations. All of them apply, or none does.
    ///
    /// # Errors
    ///
    /// `Decode` for what is no JSON, or no such list.
    pub fn operations(json: impl AsRef<[u8]>) -> Result<Self> {
        parse(json.as_ref()).map(|operations| Self(Kind::Operations(operations)))
    }

    /// The whole document anew, as JSON.
    ///
    /// # Errors
    ///
    /// As [`merge`](Self::merge).
    pub fn whole(json: impl AsRef<[u8]>) -> Result<Self> {
        parse(json.as_ref()).map(Self::whole_value)
    }

    pub(super) const fn merge_value(value: Value) -> Self {
        Self(Kind::Merge(value))
    }

    pub(super) const fn whole_value(value: Value) -> Self {
        Self(Kind::Whole(value))
    }

    #[cfg(feature = "ws")]
    pub(super) fn operations_value(value: Value) -> Result<Self> {
        serde_json::from_value(value).map(|operations| Self(Kind::Operations(operations))).map_err(unreadable)
    }

    /// Whether it needs nothing of the document before.
    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.0, Kind::Whole(_))
    }
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Documents may be secret, and long.
        match &self.0 {
            Kind::Merge(_) => f.write_str("Merge"),
            Kind::Operations(operations) => write!(f, "Operations({})", operations.len()),
            Kind::Whole(_) => f.write_str("Whole"),
        }
    }
}

fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(unreadable)
}

fn unreadable(error: serde_json::Error) -> Error {
    Error::new(ErrorKind::Decode, "read change").with_source(error)
}

/// A document, and how large it is.
#[derive(Clone, Debug)]
pub(super) struct Content {
    pub(super) value: Value,
    /// At least as many bytes as it [measures](measure).
    bytes: usize,
}

impl Content {
    pub(super) fn new(value: Value) -> Self {
        Self { bytes: measure(&value).bytes, value }
    }

    /// Does what the patch says. What is left after an error is neither the document of before nor that of after.
    pub(super) fn apply(&mut self, patch: Patch, limits: &LiveLimits) -> Result<()> {
        match patch.0 {
            Kind::Whole(value) => *self = Self::new(value),
            Kind::Merge(patch) => {
                self.bytes = self.bytes.saturating_add(measure(&patch).bytes);
                // Never deeper than the deeper one of both.
                merge(&mut self.value, patch);
            }
            Kind::Operations(operations) => self.operate(operations, limits)?,
        }
        if self.bytes > limits.document_bytes {
            self.bytes = measure(&self.value).bytes;
        }
        if self.bytes > limits.document_bytes {
            return Err(too_large(limits));
        }
        Ok(())
    }

    fn operate(&mut self, operations: Vec<PatchOperation>, limits: &LiveLimits) -> Result<()> {
        if operations.len() > limits.patch_operations {
            let detail =
                format!("{} operations, more than {} (patch_operations)", operations.len(), limits.patch_operations);
            return Err(Error::new(ErrorKind::TooLarge, OPERATION).with_detail(detail));
        }
        let mut added = 0_usize;
        for operation in operations {
            let (path, comes) = match &operation {
                PatchOperation::Add(add) => (add.path.as_str(), Some(measure(&add.value))),
                PatchOperation::Replace(replace) => (replace.path.as_str(), Some(measure(&replace.value))),
                PatchOperation::Copy(copy) => (copy.path.as_str(), self.value.pointer(copy.from.as_str()).map(measure)),
                PatchOperation::Move(moved) => {
                    (moved.path.as_str(), self.value.pointer(moved.from.as_str()).map(measure))
                }
                PatchOperation::Remove(_) | PatchOperation::Test(_) => ("", None),
            };
            if let Some(comes) = comes {
                // A list of copies doubles a document with each of them, and nests it as deep as it likes.
                let levels = path.bytes().filter(|byte| *byte == b'/').count();
                if levels.saturating_add(comes.depth) > DEPTH {
                    let detail = format!("more than {DEPTH} levels");
                    return Err(Error::new(ErrorKind::TooLarge, OPERATION).with_detail(detail));
                }
                added = added.saturating_add(comes.bytes).saturating_add(path.len());
                if added > limits.document_bytes {
                    return Err(too_large(limits));
                }
            }
            // Not all at once: what the library does to take back a list that failed can panic, and what failed is not used.
            patch_unsafe(&mut self.value, &[operation])
                .map_err(|error| Error::new(ErrorKind::Decode, OPERATION).with_source(error))?;
        }
        self.bytes = self.bytes.saturating_add(added);
        Ok(())
    }
}

fn too_large(limits: &LiveLimits) -> Error {
    let detail = format!("a document of more than {} bytes (document_bytes)", limits.document_bytes);
    Error::new(ErrorKind::TooLarge, OPERATION).with_detail(detail)
}

/// RFC 7396 §2, with what the patch holds and not with copies of it.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            members.remove(&name);
        } else {
            merge(members.entry(name).or_insert(Value::Null), value);
        }
    }
}

struct Measure {
    bytes: usize,
    depth: usize,
}

/// How large a value is as JSON, at the least: numbers count one byte, escapes and spaces nothing.
fn measure(value: &Value) -> Measure {
    let of_all = |values: &mut dyn Iterator<Item = (usize, &Value)>| {
        values.fold(Measure { bytes: 2, depth: 1 }, |sum, (name, value)| {
            let Measure { bytes, depth } = measure(value);
            Measure { bytes: sum.bytes + name + bytes + 1, depth: sum.depth.max(depth + 1) }
        })
    };
    let bytes = match value {
        Value::Array(values) => return of_all(&mut values.iter().map(|value| (0, value))),
        Value::Object(members) => return of_all(&mut members.iter().map(|(name, value)| (name.len() + 3, value))),
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 1,
        Value::String(text) => text.len() + 2,
    };
    Measure { bytes, depth: 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(document: &str, patch: Patch, limits: &LiveLimits) -> Result<Value> {
        let mut content = Content::new(serde_json::from_str(document).expect("a document"));
        content.apply(patch, limits).map(|()| content.value)
    }

    fn by_merge(document: &str, patch: &str) -> Value {
        applied(document, Patch::merge(patch).expect("a patch"), &LiveLimits::default()).expect("applies")
    }

    fn by_operations(document: &str, patch: &str) -> Result<Value> {
        applied(document, Patch::operations(patch)?, &LiveLimits::default())
    }

    #[test]
    fn rfc_7396_appendix_a() {
        for (document, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, "{}"),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"["a","b"]"#, r#"["c","d"]"#, r#"["c","d"]"#),
            (r#"{"a":"b"}"#, r#"["c"]"#, r#"["c"]"#),
            (r#"{"a":"foo"}"#, "null", "null"),
            (r#"{"a":"foo"}"#, r#""bar""#, r#""bar""#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            ("[1,2]", r#"{"a":"b","c":null}"#, r#"{"a":"b"}"#),
            ("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
        ] {
            let result: Value = serde_json::from_str(result).expect("a result");
            assert_eq!(by_merge(document, patch), result, "{document} and {patch}");
        }
    }

    #[test]
    fn rfc_6902_appendix_a() {
        let deep = r#"{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}"#;
        for (section, document, patch, result) in [
            (
                1,
                r#"{"foo":"bar"}"#,
                r#"[{"op":"add","path":"/baz","value":"qux"}]"#,
                Some(r#"{"baz":"qux","foo":"bar"}"#),
            ),
            (
                2,
                r#"{"foo":["bar","baz"]}"#,
                r#"[{"op":"add","path":"/foo/1","value":"qux"}]"#,
                Some(r#"{"foo":["bar","qux","baz"]}"#),
            ),
            (3, r#"{"baz":"qux","foo":"bar"}"#, r#"[{"op":"remove","path":"/baz"}]"#, Some(r#"{"foo":"bar"}"#)),
            (
                4,
                r#"{"foo":["bar","qux","baz"]}"#,
                r#"[{"op":"remove","path":"/foo/1"}]"#,
                Some(r#"{"foo":["bar","baz"]}"#),
            ),
            (
                5,
                r#"{"baz":"qux","foo":"bar"}"#,
                r#"[{"op":"replace","path":"/baz","value":"boo"}]"#,
                Some(r#"{"baz":"boo","foo":"bar"}"#),
            ),
            (
                6,
                deep,
                r#"[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]"#,
                Some(r#"{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}"#),
            ),
            (
                7,
                r#"{"foo":["all","grass","cows","eat"]}"#,
                r#"[{"op":"move","from":"/foo/1","path":"/foo/3"}]"#,
                Some(r#"{"foo":["all","cows","eat","grass"]}"#),
            ),
            (
                8,
                r#"{"baz":"qux","foo":["a",2,"c"]}"#,
                r#"[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]"#,
                Some(r#"{"baz":"qux","foo":["a",2,"c"]}"#),
            ),
            (9, r#"{"baz":"qux"}"#, r#"[{"op":"test","path":"/baz","value":"bar"}]"#, None),
            (
                10,
                r#"{"foo":"bar"}"#,
                r#"[{"op":"add","path":"/child","value":{"grandchild":{}}}]"#,
                Some(r#"{"foo":"bar","child":{"grandchild":{}}}"#),
            ),
            (
                11,
                r#"{"foo":"bar"}"#,
                r#"[{"op":"add","path":"/baz","value":"qux","xyz":123}]"#,
                Some(r#"{"foo":"bar","baz":"qux"}"#),
            ),
            (12, r#"{"foo":"bar"}"#, r#"[{"op":"add","path":"/baz/bat","value":"qux"}]"#, None),
            // The first of two equal names is to be refused or passed over; here the last one stands, and is no operation.
            (13, r#"{"foo":"bar"}"#, r#"[{"op":"add","path":"/baz","value":"qux","op":"remove"}]"#, None),
            (14, r#"{"/":9,"~1":10}"#, r#"[{"op":"test","path":"/~01","value":10}]"#, Some(r#"{"/":9,"~1":10}"#)),
            (15, r#"{"/":9,"~1":10}"#, r#"[{"op":"test","path":"/~01","value":"10"}]"#, None),
            (
                16,
                r#"{"foo":["bar"]}"#,
                r#"[{"op":"add","path":"/foo/-","value":["abc","def"]}]"#,
                Some(r#"{"foo":["bar",["abc","def"]]}"#),
            ),
        ] {
            let result = result.map(|result| serde_json::from_str::<Value>(result).expect("a result"));
            assert_eq!(by_operations(document, patch).ok(), result, "A.{section}");
        }
    }

    /// Taking back what was done before the failure made the library panic.
    #[test]
    fn a_list_that_fails_behind_a_move_to_the_root_is_an_error() {
        let patch = r#"[{"op":"move","from":"/a","path":""},{"op":"test","path":"","value":"never"}]"#;
        assert!(by_operations(r#"{"a":{"b":1}}"#, patch).is_err());
    }

    #[test]
    fn what_no_patch_is_is_told() {
        for patch in ["", "{", "[1]", "{}", r#"[{"op":"jump","path":""}]"#, r#"[{"op":"add","path":"x","value":1}]"#] {
            assert_eq!(Patch::operations(patch).expect_err(patch).kind(), ErrorKind::Decode);
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert_eq!(Patch::merge(&deep).expect_err("deep").kind(), ErrorKind::Decode);
        assert_eq!(Patch::whole(deep).expect_err("deep").kind(), ErrorKind::Decode);
    }

    #[test]
    fn a_list_of_copies_does_not_grow_without_end() {
        let copies: Vec<_> = (0..40).map(|n| json!({"op": "copy", "from": "", "path": format!("/{n}")})).collect();
        let patch = Patch::operations(serde_json::to_vec(&copies).expect("json")).expect("a patch");
        let error = applied(r#"{"x":"0123456789"}"#, patch, &LiveLimits::default()).expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn many_patches_do_not_nest_deeper_than_one_may() {
        let mut content = Content::new(json!({"a": {}, "b": 1}));
        let step = || {
            Patch::operations(r#"[{"op":"move","from":"/a","path":"/c"},{"op":"add","path":"/a","value":{}},{"op":"move","from":"/c","path":"/a/c"}]"#).expect("a patch")
        };
        let done = (0..1000).take_while(|_| content.apply(step(), &LiveLimits::default()).is_ok()).count();
        assert!((100..DEPTH).contains(&done), "{done}");
    }

    #[test]
    fn bounds_hold_for_what_is_there_and_not_for_what_was() {
        let limits = LiveLimits::default().with_document_bytes(100).with_patch_operations(2);
        let mut content = Content::new(json!({"x": "0".repeat(50)}));
        for _ in 0..100 {
            let patch = Patch::merge(format!(r#"{{"x":"{}"}}"#, "1".repeat(60))).expect("a patch");
            content.apply(patch, &limits).expect("replaced, not added");
        }
        let patch = Patch::merge(format!(r#"{{"y":"{}"}}"#, "1".repeat(60))).expect("a patch");
        assert_eq!(content.apply(patch, &limits).expect_err("added").kind(), ErrorKind::TooLarge);
        let add = |name: &str| {
            let patch = format!(r#"[{{"op":"add","path":"/{name}","value":"{}"}}]"#, "0".repeat(40));
            Patch::operations(patch).expect("a patch")
        };
        let mut content = Content::new(json!({}));
        content.apply(add("a"), &limits).and_then(|()| content.apply(add("b"), &limits)).expect("there is room");
        assert_eq!(content.apply(add("c"), &limits).expect_err("full").kind(), ErrorKind::TooLarge);
        let three = r#"[{"op":"remove","path":"/0"},{"op":"remove","path":"/0"},{"op":"remove","path":"/0"}]"#;
        let error = applied("[1,2,3]", Patch::operations(three).expect("a patch"), &limits).expect_err("three");
        assert!(error.to_string().contains("patch_operations"), "{error}");
    }
}
