//! Cases that are known not to pass, each with its reason.

use crate::profile::Profile;

/// A case that need not pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) id: &'static str,
    /// In which profiles.
    pub(crate) profiles: &'static [Profile],
    pub(crate) reason: &'static str,
}

const BOTH: &[Profile] = &[Profile::Private, Profile::Shared];

/// The package's cases are older than RFC 9111, which wants another outcome here.
const AGE: &str = "RFC 9111 §5.1: the first of several values counts, and a malformed one is ignored; the suite's own later \
                   version agrees";

/// The list for the cases of the pinned package. One that passes after all is to be taken out.
pub(crate) static KNOWN: &[Known] = &[
    Known { id: "age-parse-nonnumeric", profiles: BOTH, reason: AGE },
    Known { id: "age-parse-negative", profiles: BOTH, reason: AGE },
    Known { id: "age-parse-float", profiles: BOTH, reason: AGE },
    Known { id: "age-parse-prefix-twoline", profiles: BOTH, reason: AGE },
    Known { id: "age-parse-dup-0", profiles: BOTH, reason: AGE },
    Known { id: "age-parse-dup-0-twoline", profiles: BOTH, reason: AGE },
    Known { id: "age-parse-dup-old", profiles: BOTH, reason: AGE },
    Known {
        id: "304-etag-update-response-ETag",
        profiles: BOTH,
        reason: "RFC 9111 §4.3.4: a 304 with a strong entity tag that nothing stored has updates nothing, so the \
                 request is sent once more",
    },
    Known {
        id: "conditional-lm-fresh-no-lm",
        profiles: BOTH,
        reason: "RFC 9111 §4.3.2: without Last-Modified the Date counts, and that is later than If-Modified-Since",
    },
    Known {
        id: "headers-store-Transfer-Encoding",
        profiles: BOTH,
        reason: "the origin names a transfer coding that does not exist; its body has no known end, and is refused (RFC \
                 9112 §7)",
    },
];
