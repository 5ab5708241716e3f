//! A call as its caller writes it, all but the id.

use std::fmt;

use netcomm_core::{Error, ErrorKind, Result};
use serde::Serialize;

use crate::batch::json::Json;

/// A call of a method, or a notification.
#[derive(Clone, PartialEq, Eq)]
pub struct RpcCall {
    /// All members but the version and the id, and the closing brace.
    rest: Vec<u8>,
    is_notification: bool,
}

impl RpcCall {
    /// A call that wants a result. `params` are what is written as an array or an object; `&()` for none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if `params` are written as something else, or cannot be written.
    pub fn request(method: &str, params: &(impl Serialize + ?Sized)) -> Result<Self> {
        Self::new(method, params, false)
    }

    /// A call that is not answered.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub fn notification(method: &str, params: &(impl Serialize + ?Sized)) -> Result<Self> {
        Self::new(method, params, true)
    }

    fn new(method: &str, params: &(impl Serialize + ?Sized), is_notification: bool) -> Result<Self> {
        let (method, params) = (Json::new(method)?, Json::new(params)?);
        let mut rest = br#""method":"#.to_vec();
        rest.extend_from_slice(method.as_bytes());
        match params.as_bytes() {
            b"null" => {}
            // JSON-RPC 2.0 §4.2.
            params @ [b'[' | b'{', ..] => {
                rest.extend_from_slice(br#","params":"#);
                rest.extend_from_slice(params);
            }
            _ => {
                let error = Error::new(ErrorKind::Invalid, "encode json-rpc");
                return Err(error.with_detail("params are neither an array nor an object"));
            }
        }
        rest.push(b'}');
        Ok(Self { rest, is_notification })
    }

    /// Whether it is not answered.
    #[must_use]
    pub fn is_notification(&self) -> bool {
        self.is_notification
    }

    /// With room for the longest id.
    pub(super) fn encoded_bytes(&self) -> usize {
        VERSION.len() + r#""id":18446744073709551615,"#.len() + self.rest.len() + 1
    }

    pub(super) fn write(&self, id: Option<u64>, body: &mut Vec<u8>) {
        body.extend_from_slice(VERSION.as_bytes());
        if let Some(id) = id {
            body.extend_from_slice(format!("\"id\":{id},").as_bytes());
        }
        body.extend_from_slice(&self.rest);
    }
}

const VERSION: &str = r#"{"jsonrpc":"2.0","#;

impl fmt::Debug for RpcCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Parameters may hold what is nobody's business.
        f.debug_struct("RpcCall")
            .field("is_notification", &self.is_notification)
            .field("bytes", &self.rest.len())
            .finish_non_exhaustive()
    }
}
