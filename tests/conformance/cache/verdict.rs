//! From outcomes to verdicts and figures. Pure.

use std::collections::BTreeMap;

use crate::case::{Case, Kind};
use crate::check::Class;
use crate::run::Played;

/// What a case comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It holds, and so does all that it depends on.
    Passed,
    /// It does not hold; of a question: the answer is no.
    Failed,
    /// Before it came to the point something else went wrong.
    Setup,
    /// No answer in time, or none at all.
    Broken,
    /// A case that it depends on does not hold, so that it tells nothing.
    Depends,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Setup => "setup",
            Self::Broken => "broken",
            Self::Depends => "depends",
        }
    }
}

pub(crate) type Verdicts = BTreeMap<String, Verdict>;

/// The verdicts by the names of the cases. A case passes only if all do that it depends on, and theirs in turn.
pub(crate) fn verdicts(played: &Played) -> Verdicts {
    let cases: BTreeMap<&str, &Case> = played.cases.iter().map(|case| (case.id.as_str(), &**case)).collect();
    let mut verdicts = Verdicts::new();
    for case in cases.values() {
        judge(case, &cases, played, &mut verdicts);
    }
    verdicts
}

fn judge(case: &Case, cases: &BTreeMap<&str, &Case>, played: &Played, verdicts: &mut Verdicts) -> Verdict {
    if let Some(verdict) = verdicts.get(&case.id) {
        return *verdict;
    }
    // Stands for a circle, of which no case would ever be judged.
    verdicts.insert(case.id.clone(), Verdict::Depends);
    let holds = case
        .depends_on
        .iter()
        .all(|id| cases.get(id.as_str()).is_some_and(|case| judge(case, cases, played, verdicts) == Verdict::Passed));
    let verdict = if holds { own(case, played) } else { Verdict::Depends };
    verdicts.insert(case.id.clone(), verdict);
    verdict
}

/// What a case comes to on its own.
fn own(case: &Case, played: &Played) -> Verdict {
    match played.outcomes.get(&case.id).map(|outcome| &outcome.failure) {
        Some(None) => Verdict::Passed,
        Some(Some(failure)) => match failure.class {
            Class::Assertion => Verdict::Failed,
            Class::Setup => Verdict::Setup,
            Class::Broken => Verdict::Broken,
        },
        None => Verdict::Broken,
    }
}

/// How many of a kind passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Score {
    pub(crate) passed: usize,
    /// Without asking what a case depends on.
    pub(crate) raw: usize,
    pub(crate) total: usize,
}

/// A score for each kind, in the order of [`Kind::ALL`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scores(pub(crate) [Score; Kind::ALL.len()]);

impl Scores {
    pub(crate) fn of(played: &Played, verdicts: &Verdicts) -> Self {
        Self(Kind::ALL.map(|kind| {
            let mut score = Score::default();
            for case in played.cases.iter().filter(|case| case.kind == kind) {
                score.total += 1;
                score.passed += usize::from(verdicts.get(&case.id) == Some(&Verdict::Passed));
                score.raw += usize::from(own(case, played) == Verdict::Passed);
            }
            score
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::played;

    #[test]
    fn a_case_passes_if_all_do_that_it_depends_on() {
        let played = played(&[
            ("root", Kind::Check, &[], "passed"),
            ("child", Kind::Required, &["root"], "passed"),
            ("grandchild", Kind::Required, &["child"], "passed"),
            ("no", Kind::Check, &[], "failed"),
            ("orphan", Kind::Required, &["no"], "passed"),
            ("of-orphan", Kind::Optimal, &["root", "orphan"], "passed"),
            ("lost", Kind::Optimal, &["nowhere"], "passed"),
            ("egg", Kind::Optimal, &["hen"], "passed"),
            ("hen", Kind::Optimal, &["egg"], "passed"),
            ("unplayed", Kind::Required, &["root"], "setup"),
            ("silent", Kind::Required, &["root"], "broken"),
            ("wrong", Kind::Required, &["root"], "failed"),
            ("wrong-orphan", Kind::Required, &["no"], "failed"),
        ]);
        let verdicts = verdicts(&played);
        let told: Vec<String> = verdicts.iter().map(|(id, verdict)| format!("{id} {}", verdict.name())).collect();
        assert_eq!(
            told,
            [
                "child passed",
                "egg depends",
                "grandchild passed",
                "hen depends",
                "lost depends",
                "no failed",
                "of-orphan depends",
                "orphan depends",
                "root passed",
                "silent broken",
                "unplayed setup",
                "wrong failed",
                "wrong-orphan depends",
            ]
        );
        assert_eq!(
            Scores::of(&played, &verdicts),
            Scores([
                Score { passed: 2, raw: 3, total: 7 },
                Score { passed: 0, raw: 4, total: 4 },
                Score { passed: 1, raw: 1, total: 2 },
            ])
        );
    }
}
