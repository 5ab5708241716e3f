//! hickory's resolver, the only room that names it.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use hickory_resolver::TokioResolver;
use netcomm_core::{Error, ErrorKind, Result};

use crate::resolve::{Answer, Resolve};

/// hickory's resolver: asks the system's name servers itself, without a thread per lookup, and
/// knows how long each answer is good. Addresses come with IPv6 first.
///
/// Of the system's configuration it reads `/etc/resolv.conf` and `/etc/hosts` (on Windows the
/// registry), once. Other sources of names that the system may know (mDNS, NSS modules) it does not
/// ask.
#[derive(Clone)]
pub struct HickoryResolver {
    resolver: TokioResolver,
}

impl HickoryResolver {
    /// A resolver with the system's name servers. Reads files; meant for the start of a program.
    ///
    /// # Errors
    ///
    /// Kind [`Dns`](ErrorKind::Dns) if the system's configuration cannot be read.
    pub fn from_system() -> Result<Self> {
        let build = || {
            let mut builder = TokioResolver::builder_tokio()?;
            // The dialer keeps answers, and knows when the network changes; hickory does not.
            builder.options_mut().cache_size = 0;
            builder.build()
        };
        let resolver = build().map_err(|error| {
            Error::new(ErrorKind::Dns, "hickory resolver")
                .with_detail("the system's configuration cannot be used")
                .with_source(error)
        })?;
        Ok(Self { resolver })
    }
}

impl Resolve for HickoryResolver {
    async fn resolve(&self, name: &str) -> Result<Answer> {
        let found = self.resolver.lookup_ip(name).await;
        let found = found.map_err(|error| Error::new(ErrorKind::Dns, "hickory resolver").with_source(error))?;
        let addresses: Vec<IpAddr> = found.iter().collect();
        // hickory measures with the system's clock whatever the dialer's clock says.
        Ok(Answer::new(addresses).with_ttl(found.valid_until().saturating_duration_since(Instant::now())))
    }
}

impl fmt::Debug for HickoryResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HickoryResolver").finish_non_exhaustive()
    }
}
