//! Many small calls as one request.
//!
//! A [`Batcher`] gathers what is called within a short time and sends it as one request; each caller gets its own
//! answer or error. What a batch looks like is for its [`Codec`] to say: [`JsonArray`], [`JsonRpc`] and
//! [`MultipartMixed`] are ready.
//!
//! - What fails for one call fails for that one alone: an answer that says so, that cannot be read, that is missing or
//!   comes twice. What fails for all is told to each caller: no response, a status other than 2xx, a response that is no
//!   answer to a batch.
//! - Calls leave when their future is dropped; nobody else notices.
//! - Nothing is sent twice by the batcher itself; the client repeats a request only where that is safe.

mod batcher;
mod carry;
mod codec;
mod gather;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "json")]
mod json_array;
#[cfg(feature = "json")]
mod json_rpc;
mod mixed;
mod window;

pub use batcher::{Batcher, BatcherBuilder};
pub use codec::{Answers, Codec, Encoded};
#[cfg(feature = "json")]
pub use json::Json;
#[cfg(feature = "json")]
pub use json_array::JsonArray;
#[cfg(feature = "json")]
pub use json_rpc::{JsonRpc, RpcCall, RpcError};
pub use mixed::{ContentIds, MultipartMixed};
