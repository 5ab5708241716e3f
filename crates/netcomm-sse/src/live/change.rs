//! A change of a document, and its number.

use super::patch::Patch;

/// A change of a document. All changes are numbered, one after the other.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Its number: the document is as of this number once it was applied.
    pub sequence: u64,
    /// The number of the change before it, where that is not one less: where one log numbers the changes of many
    /// documents.
    pub previous: Option<u64>,
    /// What it does.
    pub patch: Patch,
}

impl Change {
    /// A change that follows the one before.
    #[must_use]
    pub const fn new(sequence: u64, patch: Patch) -> Self {
        Self { sequence, previous: None, patch }
    }

    /// The same, following [that change](Self::previous).
    #[must_use]
    pub fn with_previous(self, previous: u64) -> Self {
        Self { previous: Some(previous), ..self }
    }
}
