//! The client side of the proxy.

use netcomm::core::PrivateAddresses;
use netcomm::dial::SystemClock;
use netcomm::http::{Client, PoolLimits, Redirects};
use netcomm::{Env, Error, ErrorKind, Limits, Policy, Result, Tap, Timeouts};

use crate::args::Proxy;
use crate::client;

/// Makes the client: one that adds nothing of its own to what it passes on.
///
/// # Errors
///
/// Kind `Invalid` for options that mean nothing, `Io` for files that cannot be read, `Unsupported` for a cache.
pub(super) async fn build(args: &Proxy) -> Result<Client> {
    if args.cache.is_some() {
        return Err(Error::new(ErrorKind::Unsupported, "start proxy").with_detail("the cache is not built in"));
    }
    let mut timeouts = Timeouts::default().with_idle_body(args.bounds.idle_timeout).with_min_rate(None);
    if let Some(connect) = args.bounds.connect_timeout {
        timeouts = timeouts.with_connect(connect);
    }
    if let Some(header) = args.bounds.header_timeout {
        timeouts = timeouts.with_header(header);
    }
    let private = match args.bounds.deny_private {
        true => PrivateAddresses::Deny,
        false => PrivateAddresses::Allow,
    };
    let policy = Policy::default()
        .with_timeouts(timeouts)
        // Bodies stream through; how long they are is the affair of both ends.
        .with_limits(Limits::default().with_body_bytes(u64::MAX))
        .with_private_addresses(private);
    let dialer = client::dialer(&args.way, Tap::off()).await?;
    // Clients are bounded already: none of them should wait for another one's connection.
    let mut pool = PoolLimits::default();
    (pool.per_origin, pool.total) = (args.bounds.max_connections, args.bounds.max_connections);
    let mut builder = Client::builder(&Env::new(dialer, SystemClock).with_policy(policy))
        .no_default_headers()
        .exact_paths(true)
        .decode(false)
        .redirects(Redirects::Manual)
        .pool(pool)
        .http2(client::http2(&args.way));
    if let Some(path) = &args.way.unix_socket {
        builder = builder.unix_socket(path);
    }
    builder.build()
}
