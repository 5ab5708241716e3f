//! How large a document, and a change of it, may be.

/// How large a document, and a change of it, may be. What is larger is not taken, and the document is fetched again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LiveLimits {
    /// Bytes of the document: of the answer that brings it, and of its text as JSON after each change. Default 16 MiB. In
    /// memory it may take some 20 times that, and while a change is made as much once more.
    pub document_bytes: usize,
    /// Operations of one JSON patch (RFC 6902). Default 10 000.
    pub patch_operations: usize,
}

impl Default for LiveLimits {
    fn default() -> Self {
        Self { document_bytes: 16 * 1024 * 1024, patch_operations: 10_000 }
    }
}

impl LiveLimits {
    /// The same with another [`document_bytes`](Self::document_bytes).
    #[must_use]
    pub const fn with_document_bytes(self, document_bytes: usize) -> Self {
        Self { document_bytes, ..self }
    }

    /// The same with another [`patch_operations`](Self::patch_operations).
    #[must_use]
    pub const fn with_patch_operations(self, patch_operations: usize) -> Self {
        Self { patch_operations, ..self }
    }
}
