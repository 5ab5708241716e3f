//! Responses kept for later calls (RFC 9111).
//!
//! A [`Cache`] is handed to [`ClientBuilder::cache`](crate::ClientBuilder::cache); clients that share one share what is
//! stored. It is private (for one user) unless it is built to be shared. What a call wants otherwise it says by
//! [`RequestBuilder::cache_mode`](crate::RequestBuilder::cache_mode) and its neighbours; what the cache did for it is
//! told by [`Response::cache_status`](crate::Response::cache_status) and by a `Cache-Status` field (RFC 9211).
//!
//! ```
//! use netcomm_core::Env;
//! use netcomm_http::Client;
//! use netcomm_http::cache::{Cache, CacheMode};
//!
//! # async fn example(env: &Env) -> netcomm_core::Result<()> {
//! let client = Client::builder(env).cache(Cache::memory(64 << 20)).build()?;
//! let first = client.get("https://a.example/list").send().await?.bytes().await?;
//! let again = client.get("https://a.example/list").cache_mode(CacheMode::OnlyIfCached).send().await?;
//! # Ok(())
//! # }
//! ```
//!
//! The rules are pure functions over requests, entries and the time; the stores ([`Memory`], and with feature
//! `cache-disk` `Disk`) know no rules.

mod answering;
mod blob;
mod combining;
mod directives;
#[cfg(feature = "cache-disk")]
mod disk;
mod entry;
mod few;
mod field;
mod fields;
mod freshness;
mod groups;
mod handle;
mod invalidation;
mod key;
mod memory;
mod mode;
mod near;
mod piece;
mod plan;
pub(crate) mod range;
pub(crate) mod selecting;
mod status;
mod store;
mod storing;
mod table;
mod tee;
pub(crate) mod validation;

pub use blob::{Blob, Opening, ReadBlob};
#[cfg(feature = "cache-disk")]
pub use disk::{Disk, DiskBuilder};
pub use entry::{Entry, EntryParts, Segment, Selecting};
pub use few::Few;
pub use fields::Fields;
pub use handle::{Cache, CacheBuilder};
pub use key::Key;
pub use memory::Memory;
pub use mode::CacheMode;
pub use status::{CacheStatus, Forwarded};
pub use store::{Change, Stats, Store, Variants, WriteBlob};

pub(crate) use answering::{Answered, StoredHead, answered, whole_as_stored};
pub(crate) use field::dated;
pub(crate) use groups::invalidated_by as invalidated_groups;
pub(crate) use handle::Moment;
pub(crate) use invalidation::invalidated;
pub(crate) use plan::{
    EndToEnd, Excuse, Forward, Plan, Question, Serve, confirmed, is_only_for_the_store, is_plain, passed_by, plan,
    rescue, unknown,
};
pub(crate) use storing::{
    Arrived, Said, names_itself, packed_fields, permits, permits_by, stored_fields, updated_fields,
};
pub(crate) use tee::{Begun, Stored, body_in_memory, body_of, chained, keep, keep_at_once};
