//! The client side of the proxy.

use netcomm::core::PrivateAddresses;
use netcomm::dial::SystemClock;
use netcomm::http::cache::{Cache, CacheBuilder};
use netcomm::http::{Breaker, Client, Hedge, PoolLimits, Redirects};
use netcomm::{Env, Limits, Policy, Result, Tap, Timeouts};

use crate::args::Proxy;
use crate::cache::Kept;
use crate::{client, trying};

/// The targeted field for whoever stands before an origin for all its users (RFC 9213 §3).
const OF_REVERSE_PROXIES: &str = "CDN-Cache-Control";

/// Makes the client: one that adds nothing of its own to what it passes on. With it comes its cache, if it has one, which
/// speaks under that name. It lives in that environment, but for its dialer and its policy; else in one of its own.
///
/// # Errors
///
/// Kind `Invalid` for options that mean nothing, `Io` for files that cannot be read.
pub(super) async fn build(args: &Proxy, name: &str, env: Option<&Env>) -> Result<(Client, Option<Kept>)> {
    let rules = rules(args, name)?;
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
    let dialer = client::dialer(&args.way, env.map_or_else(Tap::off, |env| env.tap().clone())).await?;
    let env = env.map_or_else(|| Env::new(dialer.clone(), SystemClock), |env| env.with_dialer(dialer.clone()));
    // Clients are bounded already: none of them should wait for another one's connection.
    let mut pool = PoolLimits::default();
    (pool.per_origin, pool.total) = (args.bounds.max_connections, args.bounds.max_connections);
    let mut builder = Client::builder(&env.with_policy(policy))
        .no_default_headers()
        .exact_paths(true)
        .decode(false)
        .redirects(Redirects::Manual)
        .deduplicate(args.deduplicate)
        // Who falls too far behind the others of a shared answer goes on alone, if the answer can be had in parts.
        .resume(u32::from(args.deduplicate))
        .pool(pool)
        .http2(client::http2(&args.way));
    builder = trying::apply(builder, &args.trying);
    if let Some(delay) = args.guards.hedge {
        builder = builder.hedge(delay.map_or_else(Hedge::default, Hedge::after));
    }
    if args.guards.breaker {
        builder = builder.breaker(Breaker::default());
    }
    if let Some(path) = &args.way.unix_socket {
        builder = builder.unix_socket(path);
    }
    let Some(place) = &args.cache else { return Ok((builder.build()?, None)) };
    // Last of all, so that nothing is made on disk for a command line that means nothing.
    let kept = Kept::open(place, rules).await;
    Ok((builder.cache(kept.cache.clone()).build()?, Some(kept)))
}

/// The rules of the cache.
fn rules(args: &Proxy, name: &str) -> Result<CacheBuilder> {
    let mut rules = Cache::builder().name(name)?;
    if args.shared {
        rules = rules.shared();
    }
    for field in targets(args) {
        rules = rules.target(field)?;
    }
    Ok(rules)
}

/// The targeted fields that count.
fn targets(args: &Proxy) -> Vec<&str> {
    match args.targets.as_slice() {
        [] if args.shared && args.to.is_some() => vec![OF_REVERSE_PROXIES],
        named => named.iter().map(String::as_str).filter(|field| *field != "none").collect(),
    }
}
