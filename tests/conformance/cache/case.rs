//! The cases as their authors export them.

use std::error::Error;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// How much a case weighs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// The standard demands it.
    #[default]
    Required,
    /// A good cache does it.
    Optimal,
    /// A question; neither answer is wrong.
    Check,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Required, Self::Optimal, Self::Check];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Optimal => "optimal",
            Self::Check => "check",
        }
    }
}

/// A test: requests in their order, and what each must come to.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) suite: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) depends_on: Vec<String>,
    pub(crate) browser_only: bool,
    pub(crate) cdn_only: bool,
    pub(crate) steps: Vec<Step>,
    /// What the origin is told of the case.
    pub(crate) config: Value,
}

#[derive(Deserialize)]
struct Suite {
    id: String,
    tests: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    id: String,
    name: String,
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    depends_on: Vec<String>,
    #[serde(default)]
    browser_only: bool,
    #[serde(default)]
    cdn_only: bool,
    requests: Vec<Value>,
}

/// Where a response must come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    Cached,
    NotCached,
    EtagValidated,
    LmValidated,
}

/// The value of a field: as it is, or a date by its distance in seconds from the origin's moment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Text {
    Plain(String),
    Offset(i64),
}

/// What is asked of a header field.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Expected {
    /// It is there; where it must be missing: it is not.
    Named(String),
    /// It has this value; where it must be missing: not this part in its value.
    Valued(String, Text),
    /// `=` another field, or `>` a number.
    Related(String, String, Text),
}

/// An interim response: its status, and perhaps fields of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Interim {
    Bare((u16,)),
    With(u16, Vec<(String, String)>),
}

/// Words of a request that concern the origin alone, or a browser that follows redirects and guards origins.
const NOT_OURS: [&str; 7] =
    ["redirect", "mode", "credentials", "response_headers", "response_pause", "interim_responses", "magic_locations"];

/// One request of a case. A word that is not here is an error: it may be a check that nobody would make.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Step {
    pub(crate) request_method: Option<String>,
    pub(crate) request_headers: Vec<(String, Text)>,
    pub(crate) request_body: Option<String>,
    pub(crate) query_arg: Option<String>,
    pub(crate) filename: Option<String>,
    /// Cache mode of the Fetch standard.
    pub(crate) cache: Option<String>,
    /// The distance in `If-Modified-Since` is from the moment of the previous response.
    pub(crate) magic_ims: bool,
    /// Fields, in small letters, whose dates take the form of RFC 850.
    pub(crate) rfc850date: Vec<String>,
    pub(crate) pause_after: bool,

    /// What the origin is to answer.
    pub(crate) response_status: Option<(u16, String)>,
    pub(crate) response_body: Option<String>,
    pub(crate) disconnect: bool,

    pub(crate) expected_type: Option<Source>,
    /// `Some(None)`: any status will do.
    #[serde(deserialize_with = "said")]
    pub(crate) expected_status: Option<Option<u16>>,
    pub(crate) expected_response_headers: Vec<Expected>,
    pub(crate) expected_response_headers_missing: Vec<Expected>,
    pub(crate) expected_request_headers: Vec<Expected>,
    pub(crate) expected_request_headers_missing: Vec<Expected>,
    pub(crate) expected_method: Option<String>,
    /// `Some(None)`: any body will do.
    #[serde(deserialize_with = "said")]
    pub(crate) expected_response_text: Option<Option<String>>,
    pub(crate) expected_interim_responses: Option<Vec<Interim>>,
    pub(crate) check_body: Option<bool>,

    /// Whatever fails here only shows that the case could not be played.
    pub(crate) setup: bool,
    /// The same for these checks alone.
    pub(crate) setup_tests: Vec<String>,
}

/// Tells `null` from what is not said.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// All cases of an export.
pub(crate) fn read(export: &str) -> Result<Vec<Arc<Case>>, Box<dyn Error>> {
    let suites: Vec<Suite> = serde_json::from_str(export)?;
    let mut cases = Vec::new();
    for suite in suites {
        for raw in suite.tests {
            cases.push(Arc::new(Case::new(&suite.id, raw)?));
        }
    }
    Ok(cases)
}

impl Case {
    fn new(suite: &str, raw: Raw) -> Result<Self, Box<dyn Error>> {
        let mut ours = raw.requests.clone();
        for request in ours.iter_mut().filter_map(Value::as_object_mut) {
            request.retain(|word, _| !NOT_OURS.contains(&word.as_str()));
        }
        let steps = Vec::deserialize(Value::Array(ours)).map_err(|error| format!("case {}: {error}", raw.id))?;
        let mut config = raw.requests;
        for request in config.iter_mut().filter_map(Value::as_object_mut) {
            request.insert("name".to_owned(), raw.name.clone().into());
            request.insert("id".to_owned(), raw.id.clone().into());
        }
        let config = Value::Array(config);
        Ok(Self {
            id: raw.id,
            suite: suite.to_owned(),
            name: raw.name,
            kind: raw.kind,
            depends_on: raw.depends_on,
            browser_only: raw.browser_only,
            cdn_only: raw.cdn_only,
            steps,
            config,
        })
    }
}

#[cfg(test)]
pub(crate) fn cases(tests: &Value) -> Vec<Arc<Case>> {
    read(&serde_json::json!([{ "id": "suite", "name": "a suite", "tests": tests }]).to_string()).unwrap()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_case_is_read_in_all_its_forms() {
        let cases = cases(&json!([{
            "id": "a", "name": "is it?", "kind": "check", "depends_on": ["b"], "spec_anchors": [],
            "requests": [
                {
                    "request_headers": [["If-Modified-Since", -5], ["A", "b"]],
                    "response_headers": [["Date", 0], ["C", "d", false]],
                    "expected_response_headers": ["x", ["y", "z"], ["Date", 0], ["Age", ">", 2], ["p", "=", "q"]],
                    "expected_interim_responses": [[102], [103, [["link", "</a>"]]]],
                    "expected_status": null, "pause_after": true
                },
                { "expected_type": "etag_validated", "expected_status": 304, "expected_response_text": "t" }
            ]
        }]));
        let case = &cases[0];
        assert_eq!((case.kind, case.depends_on.as_slice()), (Kind::Check, ["b".to_owned()].as_slice()));
        let [first, second] = case.steps.as_slice() else { panic!("two steps") };
        let text = |text: &str| Text::Plain(text.to_owned());
        assert_eq!(first.request_headers[0], ("If-Modified-Since".to_owned(), Text::Offset(-5)));
        assert_eq!(
            first.expected_response_headers,
            [
                Expected::Named("x".to_owned()),
                Expected::Valued("y".to_owned(), text("z")),
                Expected::Valued("Date".to_owned(), Text::Offset(0)),
                Expected::Related("Age".to_owned(), ">".to_owned(), Text::Offset(2)),
                Expected::Related("p".to_owned(), "=".to_owned(), text("q")),
            ]
        );
        let interim = [Interim::Bare((102,)), Interim::With(103, vec![("link".to_owned(), "</a>".to_owned())])];
        assert_eq!(first.expected_interim_responses.as_deref(), Some(interim.as_slice()));
        assert_eq!((first.expected_status, &first.expected_response_text), (Some(None), &None));
        assert_eq!((second.expected_status, second.expected_type), (Some(Some(304)), Some(Source::EtagValidated)));
        assert_eq!(case.config[1]["id"], "a");
        assert_eq!(case.config[0]["response_headers"][1], json!(["C", "d", false]));
    }

    #[test]
    fn a_check_that_is_not_known_is_no_case() {
        let export =
            json!([{ "id": "s", "tests": [{ "id": "a", "name": "n", "requests": [{ "expected_luck": 1 }] }] }]);
        assert!(
            read(&export.to_string()).unwrap_err().to_string().starts_with("case a: unknown field `expected_luck`")
        );
    }
}
