//! Where word of the paths comes from.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use netcomm_core::Result;

use super::PathState;

/// Where word of the paths comes from: the system, or whoever embeds.
pub trait PathSource: Send + 'static {
    /// The paths as they are at the first call, at once; from then on, whenever they have changed.
    ///
    /// # Errors
    ///
    /// If the system will not tell any more. Whoever asks then does not ask again.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped: the next call brings what this one would have brought.
    fn next(&mut self) -> impl Future<Output = Result<PathState>> + Send;
}

/// Any [`PathSource`], without its type.
pub struct AnyPathSource(Box<dyn PathSourceDyn>);

trait PathSourceDyn: Send {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<PathState>> + Send + '_>>;
}

impl<T: PathSource> PathSourceDyn for T {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<PathState>> + Send + '_>> {
        Box::pin(PathSource::next(self))
    }
}

impl AnyPathSource {
    /// Wraps a source.
    #[must_use]
    pub fn new(source: impl PathSource) -> Self {
        Self(Box::new(source))
    }
}

impl PathSource for AnyPathSource {
    async fn next(&mut self) -> Result<PathState> {
        self.0.next().await
    }
}

impl fmt::Debug for AnyPathSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyPathSource")
    }
}
