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

/// The list for the cases of the pinned package. One that passes after all is to be taken out.
pub(crate) static KNOWN: &[Known] = &[];
