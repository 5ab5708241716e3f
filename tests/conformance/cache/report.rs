//! What the runner tells.

use std::collections::BTreeMap;
use std::fmt;

use crate::case::Kind;
use crate::known::Known;
use crate::latin;
use crate::profile::Profile;
use crate::run::{Outcome, Played};
use crate::verdict::{Score, Scores, Verdict, Verdicts};

/// The cases of a profile that do not pass, held against the list of those that need not.
#[derive(Debug)]
pub(crate) struct Judgement {
    profile: Profile,
    /// Lines about cases that ought to pass.
    unexpected: Vec<String>,
    /// Lines about cases of the list.
    expected: Vec<String>,
    /// Questions whose answer is no.
    noes: Vec<String>,
    /// Mistakes in the list.
    stale: Vec<String>,
}

impl Judgement {
    /// `is_pinned`: whether the list was written for these cases; otherwise it is no mistake if one of it passes.
    pub(crate) fn of(played: &Played, verdicts: &Verdicts, known: &[Known], is_pinned: bool) -> Self {
        let profile = played.profile;
        let known: BTreeMap<&str, &str> = known
            .iter()
            .filter(|known| known.profiles.contains(&profile))
            .map(|known| (known.id, known.reason))
            .collect();
        let mut judgement =
            Self { profile, unexpected: Vec::new(), expected: Vec::new(), noes: Vec::new(), stale: Vec::new() };
        for case in &played.cases {
            let verdict = verdicts.get(&case.id).copied().unwrap_or(Verdict::Broken);
            let known = known.get(case.id.as_str());
            let message = played.outcomes.get(&case.id).and_then(|outcome| outcome.failure.as_ref());
            let message = message.map_or_else(|| format!("on {}", case.depends_on.join(", ")), ToString::to_string);
            let line = format!("{} {} {}: {message}", case.kind.name(), verdict.name(), case.id);
            match (verdict, known, case.kind) {
                (Verdict::Passed, Some(_), _) if is_pinned => judgement.stale.push(case.id.clone()),
                (Verdict::Passed, ..) => {}
                (_, _, Kind::Check) => judgement.noes.push(case.id.clone()),
                (_, Some(reason), _) => judgement.expected.push(format!("{line} (known: {reason})")),
                (_, None, _) => judgement.unexpected.push(line),
            }
        }
        let is_case = |id: &&&str| !played.cases.iter().any(|case| case.id == **id);
        if is_pinned {
            judgement.stale.extend(known.keys().filter(is_case).map(|id| format!("{id} (no such case)")));
        }
        judgement
    }

    pub(crate) fn is_good(&self) -> bool {
        self.unexpected.is_empty() && self.stale.is_empty()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let profile = self.profile.name();
        for line in self.expected.iter().chain(&self.unexpected) {
            writeln!(f, "{profile} {line}")?;
        }
        if !self.noes.is_empty() {
            writeln!(f, "{profile} check no: {}", self.noes.join(" "))?;
        }
        for id in &self.stale {
            writeln!(f, "{profile} known failure that is none: {id}")?;
        }
        Ok(())
    }
}

fn figures(scores: &[(Profile, Scores)], figure: impl Fn(&Score) -> usize) -> String {
    let profiles = scores.iter().map(|(profile, scores)| {
        let kinds = Kind::ALL.iter().zip(&scores.0);
        let kinds = kinds.map(|(kind, score)| format!("{} {}/{}", kind.name(), figure(score), score.total));
        format!("{} {}", profile.name(), kinds.collect::<Vec<_>>().join(" "))
    });
    profiles.collect::<Vec<_>>().join("; ")
}

/// The figures, in one line.
pub(crate) fn line(scores: &[(Profile, Scores)]) -> String {
    format!("cache-tests {}", figures(scores, |score| score.passed))
}

/// The figures without asking what cases depend on. They flatter.
pub(crate) fn raw(scores: &[(Profile, Scores)]) -> String {
    format!("each case on its own: {}\n", figures(scores, |score| score.raw))
}

/// All that was sent and seen.
pub(crate) fn dump(played: &Played) -> String {
    let mut text = String::new();
    for case in &played.cases {
        let Some(outcome) = played.outcomes.get(&case.id) else { continue };
        text += &format!("== {} {} ({})\n{}\n", played.profile.name(), case.id, case.kind.name(), case.name);
        text += &exchanges(outcome);
        text += &format!("origin: {:#}\n", outcome.state);
        let verdict = outcome.failure.as_ref().map_or_else(|| "passed".to_owned(), ToString::to_string);
        text += &format!("-> {verdict}\n\n");
    }
    text
}

fn exchanges(outcome: &Outcome) -> String {
    let mut text = String::new();
    let mut seen = outcome.seen.iter();
    for (number, sent) in (1..).zip(&outcome.sent) {
        text += &format!("request {number}: {sent}");
        let Some(seen) = seen.next() else { continue };
        for (status, headers) in &seen.interim {
            text += &format!("interim response: {status} {headers:?}\n");
        }
        match &seen.cut {
            Some(cut) => text += &format!("no response {number}: {cut}\n"),
            None => text += &format!("response {number}: {}\n", seen.status),
        }
        for (name, value) in &seen.headers {
            text += &format!("    {name}: {}\n", latin::text(value));
        }
        text += &format!("    body {:?}\n", seen.body);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::played;
    use crate::verdict::verdicts;

    const LIST: &[Known] = &[
        Known { id: "listed", profiles: &[Profile::Private], reason: "by choice" },
        Known { id: "listed-elsewhere", profiles: &[Profile::Shared], reason: "by choice" },
        Known { id: "passes", profiles: &[Profile::Private], reason: "once" },
        Known { id: "gone", profiles: &Profile::ALL, reason: "once" },
    ];

    #[test]
    fn only_what_is_listed_may_fail_and_what_is_listed_must() {
        let played = played(&[
            ("good", Kind::Required, &[], "passed"),
            ("listed", Kind::Required, &[], "failed"),
            ("listed-elsewhere", Kind::Optimal, &[], "failed"),
            ("passes", Kind::Optimal, &[], "passed"),
            ("question", Kind::Check, &[], "failed"),
            ("orphan", Kind::Required, &["question"], "passed"),
        ]);
        let verdicts = verdicts(&played);
        let judgement = Judgement::of(&played, &verdicts, LIST, true);
        assert!(!judgement.is_good());
        assert_eq!(
            judgement.to_string(),
            "\
private required failed listed: listed did not (known: by choice)
private optimal failed listed-elsewhere: listed-elsewhere did not
private required depends orphan: on question
private check no: question
private known failure that is none: passes
private known failure that is none: gone (no such case)
"
        );
        let other = Judgement::of(&played, &verdicts, LIST, false);
        assert!(other.stale.is_empty() && !other.is_good());
        let scores = [(Profile::Private, Scores::of(&played, &verdicts))];
        assert_eq!(line(&scores), "cache-tests private required 1/3 optimal 1/2 check 0/1");
        assert_eq!(raw(&scores), "each case on its own: private required 2/3 optimal 1/2 check 0/1\n");
    }

    #[test]
    fn a_list_that_holds_is_good() {
        let played = played(&[("listed", Kind::Required, &[], "setup"), ("question", Kind::Check, &[], "failed")]);
        assert!(Judgement::of(&played, &verdicts(&played), &LIST[..2], true).is_good());
    }
}
