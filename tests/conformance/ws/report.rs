//! What the servers made of the cases. Pure.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::Deserialize;

use crate::play::AGENT;

/// Verdicts that are no complaint. An informational case has no right answer.
const GOOD: [&str; 2] = ["OK", "INFORMATIONAL"];

/// What a server says of one case.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    behavior: String,
    behavior_close: String,
}

/// The verdicts of all servers, by the cases' numbers.
#[derive(Debug, Default)]
pub(crate) struct Report(BTreeMap<Vec<u32>, Verdict>);

impl Report {
    /// Adds what a server wrote into its `index.json`.
    pub(crate) fn add(&mut self, index: &str) -> Result<(), serde_json::Error> {
        let mut agents: HashMap<String, HashMap<String, Verdict>> = serde_json::from_str(index)?;
        let verdicts = agents.remove(AGENT).unwrap_or_default();
        self.0.extend(verdicts.into_iter().map(|(id, verdict)| (number(&id), verdict)));
        Ok(())
    }

    /// Whether that many cases ran and none is complained of.
    pub(crate) fn is_good(&self, count: usize) -> bool {
        self.0.len() == count && self.0.values().all(Verdict::is_good)
    }

    /// A line for each case that is complained of, and one if their number is not that.
    pub(crate) fn unexpected(&self, count: usize) -> String {
        let mut lines = String::new();
        for (id, verdict) in self.0.iter().filter(|(_, verdict)| !verdict.is_good()) {
            let id = id.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
            lines += &format!("{id}: {}, closing {}\n", verdict.behavior, verdict.behavior_close);
        }
        if self.0.len() != count {
            lines += &format!("{} cases were judged, {count} expected\n", self.0.len());
        }
        lines
    }

    fn of(&self, kind: &str) -> usize {
        self.0.values().filter(|verdict| verdict.kind() == kind).count()
    }
}

impl Verdict {
    /// The worse of the two: a case is also judged by how it was closed.
    fn kind(&self) -> &str {
        let close = self.behavior_close.as_str();
        // Closing says nothing where the case itself is judged otherwise than good.
        if GOOD.contains(&self.behavior.as_str()) && !GOOD.contains(&close) { close } else { &self.behavior }
    }

    fn is_good(&self) -> bool {
        GOOD.contains(&self.kind())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ok, non_strict, informational) = (self.of("OK"), self.of("NON-STRICT"), self.of("INFORMATIONAL"));
        // Whatever else it may be called, it has failed.
        let unimplemented = self.of("UNIMPLEMENTED");
        let failed = self.0.len() - ok - non_strict - informational - unimplemented;
        write!(
            f,
            "autobahn ok {ok} non-strict {non_strict} informational {informational} failed {failed} \
             unimplemented {unimplemented}"
        )
    }
}

/// `12.1.3` as numbers, so that cases stand in their order.
fn number(id: &str) -> Vec<u32> {
    id.split('.').map(|part| part.parse().unwrap_or(u32::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cases: &[(&str, &str, &str)]) -> Report {
        let cases = cases.iter().map(|(id, behavior, close)| {
            let verdict = serde_json::json!({
                "behavior": behavior, "behaviorClose": close, "duration": 2, "remoteCloseCode": null, "reportfile": "x"
            });
            ((*id).to_owned(), verdict)
        });
        let cases: serde_json::Map<_, _> = cases.collect();
        let mut report = Report::default();
        report.add(&serde_json::json!({ AGENT: cases, "another": {} }).to_string()).unwrap();
        report
    }

    #[test]
    fn verdicts_are_counted() {
        let good = report(&[("1.1.1", "OK", "OK"), ("7.1.6", "INFORMATIONAL", "INFORMATIONAL")]);
        assert_eq!(good.to_string(), "autobahn ok 1 non-strict 0 informational 1 failed 0 unimplemented 0");
        assert!(good.is_good(2));
        assert_eq!(good.unexpected(2), "");
        assert!(!good.is_good(3), "a case is missing");
        assert_eq!(good.unexpected(3), "2 cases were judged, 3 expected\n");
    }

    #[test]
    fn whatever_is_complained_of_is_named_in_order() {
        let bad = report(&[
            ("10.1.1", "FAILED", "OK"),
            ("6.4.3", "NON-STRICT", "OK"),
            ("7.1.1", "OK", "WRONG CODE"),
            ("12.1.1", "UNIMPLEMENTED", "OK"),
            ("9.1.1", "SOMETHING NEW", "OK"),
            ("1.1.1", "OK", "OK"),
        ]);
        assert_eq!(bad.to_string(), "autobahn ok 1 non-strict 1 informational 0 failed 3 unimplemented 1");
        assert!(!bad.is_good(6));
        assert_eq!(
            bad.unexpected(6),
            "6.4.3: NON-STRICT, closing OK\n7.1.1: OK, closing WRONG CODE\n9.1.1: SOMETHING NEW, closing OK\n\
             10.1.1: FAILED, closing OK\n12.1.1: UNIMPLEMENTED, closing OK\n"
        );
        for id in ["6.4.3", "7.1.1", "12.1.1"] {
            let one = report(&[(id, "NON-STRICT", "OK")]);
            assert!(!one.is_good(1), "{id}");
        }
    }

    #[test]
    fn reports_of_several_servers_are_one() {
        let mut both = report(&[("1.1.1", "OK", "OK")]);
        both.add(r#"{"netcomm": {"1.1.2": {"behavior": "FAILED", "behaviorClose": "FAILED"}}}"#).unwrap();
        assert_eq!(both.to_string(), "autobahn ok 1 non-strict 0 informational 0 failed 1 unimplemented 0");
        assert!(both.add("{").is_err());
    }
}
