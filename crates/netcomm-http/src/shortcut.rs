//! The short way in: one line, no client.

use bytes::Bytes;
use netcomm_core::{Body, Result};

use crate::address::IntoAddress;
use crate::client::Client;
use crate::response::Response;

/// `GET` in a default environment made on the spot. For more than one call make a [`Client`]: it keeps connections.
///
/// ```no_run
/// # async fn example() -> netcomm_core::Result<()> {
/// let text = netcomm_http::get("https://example.com/").await?.text().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// As [`RequestBuilder::send`](crate::RequestBuilder::send).
///
/// # Cancel safety
///
/// As [`RequestBuilder::send`](crate::RequestBuilder::send).
pub async fn get(address: impl IntoAddress) -> Result<Response> {
    Client::new()?.get(address).send().await
}

/// `POST` in a default environment made on the spot; see [`get`].
///
/// # Errors
///
/// As [`RequestBuilder::send`](crate::RequestBuilder::send).
///
/// # Cancel safety
///
/// As [`RequestBuilder::send`](crate::RequestBuilder::send).
pub async fn post(address: impl IntoAddress, body: impl Into<Body>) -> Result<Response> {
    Client::new()?.post(address).body(body).send().await
}

/// The body of a successful `GET`, whole.
///
/// # Errors
///
/// As [`get`], and `Status` for a status of 400 or more.
///
/// # Cancel safety
///
/// As [`RequestBuilder::send`](crate::RequestBuilder::send).
pub async fn fetch(address: impl IntoAddress) -> Result<Bytes> {
    get(address).await?.error_for_status()?.bytes().await
}
