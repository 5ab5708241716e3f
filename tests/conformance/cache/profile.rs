//! The two kinds of cache, and which cases are for which.

use crate::case::Case;

/// A kind of cache (RFC 9111 §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// One user's own.
    Private,
    /// One that many users stand behind.
    Shared,
}

/// Suites about fields that address one kind of intermediary; a client's cache is none.
const OF_INTERMEDIARIES: [&str; 2] = ["surrogate-control", "cdn-cache-control"];

impl Profile {
    pub(crate) const ALL: [Self; 2] = [Self::Private, Self::Shared];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Shared => "shared",
        }
    }

    /// Whether a case is for it.
    ///
    /// The suite's own word `browser_skip` is not asked: most of those cases are about what a browser's fetch hides,
    /// and this client hides nothing.
    pub(crate) fn has(self, case: &Case) -> bool {
        if case.cdn_only || OF_INTERMEDIARIES.contains(&case.suite.as_str()) {
            return false;
        }
        match self {
            Self::Private => !is_for_shared_only(case),
            Self::Shared => !case.browser_only,
        }
    }

    /// The fields on every request. Words of no meaning must change nothing: the suite sends them to caches that stand
    /// behind its client, and so do we.
    pub(crate) fn standing_fields(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Private => &[],
            Self::Shared => &[("Pragma", "foo"), ("Cache-Control", "nothing-to-see-here")],
        }
    }
}

/// Whether the case asks for what RFC 9111 says of shared caches alone: `s-maxage`, `proxy-revalidate`, `private`, and
/// requests with credentials.
fn is_for_shared_only(case: &Case) -> bool {
    case.suite == "auth"
        || (case.id.contains("s-maxage") && !case.browser_only)
        || ["cc-resp-private-shared", "stale-close-proxy-revalidate"].contains(&case.id.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::case::read;

    #[test]
    fn each_profile_leaves_out_what_is_not_its_affair() {
        let suite = |id: &str, tests: &[(&str, &str)]| {
            let tests: Vec<_> = tests
                .iter()
                .map(|(id, word)| json!({ "id": id, "name": "", "requests": [], (*word).to_owned(): true }))
                .collect();
            json!({ "id": id, "tests": tests })
        };
        let export = json!([
            suite(
                "cc-freshness",
                &[
                    ("freshness-none", "other"),
                    ("freshness-max-age-s-maxage-private", "browser_only"),
                    ("freshness-s-maxage-shared", "browser_skip"),
                ]
            ),
            suite("cc-response", &[("cc-resp-private-shared", "browser_skip")]),
            suite("stale", &[("stale-close-proxy-revalidate", "other"), ("stale-close-s-maxage=2", "other")]),
            suite("status", &[("status-301-fresh", "browser_skip")]),
            suite("auth", &[("other-authorization", "browser_skip")]),
            suite("other", &[("for-networks", "cdn_only")]),
            suite("surrogate-control", &[("surrogate-max-age", "browser_skip")]),
        ]);
        let cases = read(&export.to_string()).unwrap();
        let of = |profile: Profile| -> Vec<&str> {
            cases.iter().filter(|case| profile.has(case)).map(|case| case.id.as_str()).collect()
        };
        assert_eq!(of(Profile::Private), ["freshness-none", "freshness-max-age-s-maxage-private", "status-301-fresh"]);
        assert_eq!(
            of(Profile::Shared),
            [
                "freshness-none",
                "freshness-s-maxage-shared",
                "cc-resp-private-shared",
                "stale-close-proxy-revalidate",
                "stale-close-s-maxage=2",
                "status-301-fresh",
                "other-authorization",
            ]
        );
    }
}
