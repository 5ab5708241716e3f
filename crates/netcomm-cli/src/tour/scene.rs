//! What a scene is, and the words in which scenes judge.

use std::pin::Pin;

use netcomm::http::Response;
use netcomm::{Error, ErrorKind, Result};

/// One scene of the tour.
pub(super) struct Scene {
    /// One word, by which it is called.
    pub(super) name: &'static str,
    /// What it is about.
    pub(super) title: &'static str,
    /// What the origin does.
    pub(super) origin: &'static str,
    /// What the client promises.
    pub(super) promise: &'static str,
    /// Plays it.
    pub(super) play: fn() -> Playing,
}

/// A scene under way.
pub(super) type Playing = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// What was seen where the promise was kept, or how it was broken.
pub(super) type Verdict = Result<String, Broken>;

/// How a promise was broken.
#[derive(Debug)]
pub(super) struct Broken(String);

impl Broken {
    pub(super) fn new(how: impl Into<String>) -> Self {
        Self(how.into())
    }

    pub(super) fn how(&self) -> &str {
        &self.0
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self(error.to_string())
    }
}

impl From<tokio::task::JoinError> for Broken {
    fn from(error: tokio::task::JoinError) -> Self {
        Self(error.to_string())
    }
}

/// Goes on if the promise is `kept`.
pub(super) fn ensure(kept: bool, otherwise: impl FnOnce() -> String) -> Result<(), Broken> {
    if kept { Ok(()) } else { Err(Broken(otherwise())) }
}

/// The error that the promise asks for: one of these kinds. Anything else breaks it.
pub(super) fn expect_error<T>(what: &str, outcome: Result<T>, kinds: &[ErrorKind]) -> Result<Error, Broken> {
    match outcome {
        Err(error) if kinds.contains(&error.kind()) => Ok(error),
        Err(error) => Err(Broken(format!("{what}: another error than promised: {error}"))),
        Ok(_) => Err(Broken(format!("{what}: no error"))),
    }
}

/// The text of a successful response.
pub(super) async fn text(response: Response) -> Result<String> {
    response.error_for_status()?.text().await
}
