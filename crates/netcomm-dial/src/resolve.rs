//! From a name to addresses.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{Error, ErrorKind, Result};

/// The addresses of a name, in the order in which they should be tried, and how long they may be
/// kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    addresses: Vec<IpAddr>,
    ttl: Option<Duration>,
}

impl Answer {
    /// Those addresses, the most wanted first, kept as long as the dialer's default says.
    #[must_use]
    pub fn new(addresses: Vec<IpAddr>) -> Self {
        Self { addresses, ttl: None }
    }

    /// The same, kept that long; zero: not at all. The dialer keeps no answer longer than 10 min.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// The addresses.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// How long they may be kept, where the resolver knows.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }
}

impl From<Vec<IpAddr>> for Answer {
    fn from(addresses: Vec<IpAddr>) -> Self {
        Self::new(addresses)
    }
}

/// Finds the addresses of names. The [`Dialer`](crate::Dialer) keeps the answers and lets equal
/// lookups share one.
///
/// ```
/// use netcomm_core::Result;
/// use netcomm_dial::{Answer, Dialer, Resolve};
///
/// /// Every name is this machine.
/// struct Here;
///
/// impl Resolve for Here {
///     async fn resolve(&self, _name: &str) -> Result<Answer> {
///         Ok(vec![[127, 0, 0, 1].into()].into())
///     }
/// }
///
/// let dialer = Dialer::builder().resolver(Here).build();
/// ```
pub trait Resolve: Send + Sync + 'static {
    /// Finds the addresses of `name`: a domain name in ASCII, lower-case, without a trailing dot;
    /// never an address.
    ///
    /// # Errors
    ///
    /// Kind [`Dns`](ErrorKind::Dns) if the name has no address or none could be found out.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when everybody who waits for the name has gone away, or when its time
    /// is up.
    fn resolve(&self, name: &str) -> impl Future<Output = Result<Answer>> + Send;
}

/// The system's resolver (`getaddrinfo`), on tokio's threads for blocking work. Addresses come in
/// the order of RFC 6724.
///
/// It does not tell how long an answer is good: the dialer's default holds. A lookup that everybody
/// has given up goes on in its thread until the system ends it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    async fn resolve(&self, name: &str) -> Result<Answer> {
        let found = tokio::net::lookup_host((name, 0)).await;
        let found = found.map_err(|error| Error::new(ErrorKind::Dns, "system resolver").with_source(error))?;
        Ok(Answer::new(found.map(|address| address.ip()).collect()))
    }
}

/// Any [`Resolve`], as a handle that is cheap to clone and has no type parameter.
#[derive(Clone)]
pub(crate) struct AnyResolver(Arc<dyn ResolveDyn>);

trait ResolveDyn: Send + Sync {
    fn resolve<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = Result<Answer>> + Send + 'a>>;
}

impl<T: Resolve> ResolveDyn for T {
    fn resolve<'a>(&'a self, name: &'a str) -> Pin<Box<dyn Future<Output = Result<Answer>> + Send + 'a>> {
        Box::pin(Resolve::resolve(self, name))
    }
}

impl AnyResolver {
    pub(crate) fn new(resolver: impl Resolve) -> Self {
        Self(Arc::new(resolver))
    }

    pub(crate) async fn resolve(&self, name: &str) -> Result<Answer> {
        self.0.resolve(name).await
    }
}

impl fmt::Debug for AnyResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnyResolver")
    }
}
