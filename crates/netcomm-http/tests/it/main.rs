//! Integration tests.

mod auth;
#[cfg(feature = "batch")]
mod batch;
mod breakers;
#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "cache")]
mod cache_buffers;
#[cfg(feature = "cache-disk")]
mod cache_disk;
#[cfg(feature = "cache")]
mod cache_store;
mod calls;
#[cfg(all(feature = "gzip", feature = "brotli", feature = "zstd", feature = "json"))]
mod codings;
mod contents;
#[cfg(feature = "cookies")]
mod cookies;
mod hedges;
#[cfg(feature = "http2")]
mod http2;
mod intercepts;
mod interims;
mod limits;
mod offlines;
#[cfg(feature = "outbox")]
mod outbox;
mod pool;
mod redirects;
mod resumes;
mod retries;
mod scopes;
mod shared;
mod stage;
mod storms;
mod taps;
mod timeouts;
mod timings;
#[cfg(feature = "tower")]
mod towers;
mod wakes;
