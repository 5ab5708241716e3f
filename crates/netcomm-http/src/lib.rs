#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod address;
mod alarm;
mod auth;
#[cfg(feature = "batch")]
pub mod batch;
mod breaker;
#[cfg(feature = "cache")]
pub mod cache;
mod call;
mod charset;
mod client;
mod conn;
#[cfg(feature = "cookies")]
mod cookie;
mod decode;
mod flight;
mod headers;
mod hedge;
mod idempotency;
mod intercept;
mod lane;
mod limit;
#[cfg(feature = "multipart")]
pub mod multipart;
#[cfg(any(feature = "cache-disk", feature = "outbox"))]
mod octets;
mod offline;
mod origin;
#[cfg(feature = "outbox")]
pub mod outbox;
mod pool;
mod progress;
mod receive;
mod redirect;
mod request;
mod response;
mod resume;
mod retry;
#[cfg(feature = "tower")]
mod service;
#[cfg(feature = "dial")]
mod shortcut;
mod standing;
#[cfg(feature = "testing")]
pub mod testing;
mod timing;
mod trail;

pub use address::IntoAddress;
pub use auth::{Credentials, ProvideToken, Token};
pub use breaker::Breaker;
pub use client::{Client, ClientBuilder, PoolView};
#[cfg(feature = "cookies")]
pub use cookie::CookieJar;
pub use hedge::Hedge;
pub use intercept::{Intercept, Next};
pub use limit::{Adaptive, Concurrency};
pub use netcomm_core::{
    Backoff, Body, Budget, Env, Error, ErrorKind, GaveUp, Jitter, Limits, Policy, Rate, Result, Scope, Secret, Stage,
    Timeouts,
};
pub use offline::Offline;
pub use origin::Origin;
pub use pool::{Http2, OriginSnapshot, PoolLimits, PoolSnapshot};
pub use progress::Progress;
pub use redirect::Redirects;
pub use request::{Request, RequestBuilder};
pub use response::{Response, TimingWatch};
pub use retry::{Retry, Tried, Verdict};
#[cfg(feature = "tower")]
pub use service::ServiceTransport;
#[cfg(feature = "dial")]
pub use shortcut::{fetch, get, post};
pub use timing::Timing;
pub use trail::{Attempt, Reason};
