//! How a call uses the cache.

/// How a call uses the cache: the modes of Fetch (WHATWG Fetch, "request cache mode").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheMode {
    /// What is fresh answers, what is stale is confirmed first, what comes is stored (RFC 9111).
    #[default]
    Default,
    /// The cache is neither asked nor changed; other caches on the way are told `no-cache`.
    NoStore,
    /// The origin is asked as if nothing were stored, other caches on the way are told `no-cache`; what comes is stored.
    Reload,
    /// What is stored is confirmed by the origin before it answers, but for what is fresh and `immutable` (RFC 8246).
    NoCache,
    /// What is stored answers, be it stale; the origin is asked only if there is nothing.
    ForceCache,
    /// What is stored answers, be it stale; if there is nothing, the call fails with
    /// [`ErrorKind::Offline`](netcomm_core::ErrorKind::Offline).
    OnlyIfCached,
}
