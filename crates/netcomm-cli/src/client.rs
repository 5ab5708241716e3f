//! The client that the options describe.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use netcomm::core::PrivateAddresses;
use netcomm::dial::{Certificates, Dialer, Identity, Proxies, SystemClock, Tls};
use netcomm::http::cache::Cache;
use netcomm::http::{Client, Hedge, Http2, Redirects};
use netcomm::{Env, Error, ErrorKind, Limits, Policy, Result, Tap, Timeouts};

use crate::args::{Bounds, CachePlace, Fetch, Way};
use crate::cache::Kept;
use crate::trying;
use crate::watch::Watch;

/// Makes the client, and opens its cache, if it has one.
///
/// # Errors
///
/// Kind `Invalid` for options that mean nothing, `Io` for files that cannot be read.
pub(crate) async fn build(args: &Fetch) -> Result<(Client, Option<Kept>)> {
    let tap = if args.show.verbose { Tap::new(Watch::new()) } else { Tap::off() };
    let env =
        Env::new(dialer(&args.way, tap.clone()).await?, SystemClock).with_policy(policy(&args.bounds)).with_tap(tap);
    let mut builder = Client::builder(&env)
        .default_header("user-agent", concat!("netcomm/", env!("CARGO_PKG_VERSION")))
        .redirects(if args.bounds.no_redirects { Redirects::Manual } else { Redirects::Follow })
        // A download can be continued only as the bytes that came over the wire.
        .decode(!args.bounds.no_decode && !args.show.resume)
        .resume(args.show.resume_times)
        .budget(trying::budget_of_call(&args.trying))
        .http2(http2(&args.way));
    builder = trying::apply(builder, &args.trying);
    if let Some(delay) = args.guards.hedge {
        builder = builder.hedge(Hedge::after(delay));
    }
    if let Some(path) = &args.way.unix_socket {
        builder = builder.unix_socket(path);
    }
    let Some(folder) = &args.caching.cache else { return Ok((builder.build()?, None)) };
    // Last of all, so that nothing is made on disk for a command line that means nothing.
    let kept = Kept::open(&CachePlace::Folder(folder.clone()), Cache::builder()).await;
    Ok((builder.cache(kept.cache.clone()).build()?, Some(kept)))
}

/// The dialer for that way.
///
/// # Errors
///
/// As [`build`].
pub(crate) async fn dialer(way: &Way, tap: Tap) -> Result<Dialer> {
    let mut dialer = Dialer::builder().tls(tls(way).await?).tap(tap);
    if way.no_proxy {
        dialer = dialer.proxies(Proxies::none());
    }
    if let Some(proxy) = &way.proxy {
        dialer = dialer.proxies(Proxies::all(proxy)?);
    }
    Ok(dialer.build())
}

/// The version of HTTP for that way.
pub(crate) fn http2(way: &Way) -> Http2 {
    match (way.http1, way.http2) {
        (true, _) => Http2::Never,
        (_, true) => Http2::Always,
        _ => Http2::Negotiate,
    }
}

fn policy(bounds: &Bounds) -> Policy {
    let mut timeouts = Timeouts::default().with_total(bounds.timeout);
    if let Some(connect) = bounds.connect_timeout {
        timeouts = timeouts.with_connect(connect);
    }
    if let Some(header) = bounds.header_timeout {
        timeouts = timeouts.with_header(header);
    }
    let mut limits = Limits::default().with_redirects(bounds.max_redirects);
    if let Some(bytes) = bounds.max_bytes {
        limits = limits.with_body_bytes(bytes).with_buffered_bytes(usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    let private = match bounds.deny_private {
        true => PrivateAddresses::Deny,
        false => PrivateAddresses::Allow,
    };
    Policy::default()
        .with_timeouts(timeouts)
        .with_limits(limits)
        .with_private_addresses(private)
        .with_allow_downgrade(bounds.allow_downgrade)
}

async fn tls(way: &Way) -> Result<Tls> {
    let mut tls = Tls::new();
    if let Some(file) = &way.cacert {
        tls = tls.with_extra_roots(Certificates::from_pem(read(file).await?)?);
    }
    if let (Some(chain), Some(key)) = (&way.cert, &way.key) {
        let identity = Identity::from_pem(read(chain).await?, read(key).await?)?;
        tls = tls.with_client_certificate(identity);
    }
    if !way.pins.is_empty() {
        let pins: Result<Vec<_>> = way.pins.iter().map(|pin| parse_pin(pin)).collect();
        tls = tls.with_pins(pins?);
    }
    Ok(tls)
}

/// Reads a file, naming it in the error.
pub(crate) async fn read(file: &Path) -> Result<Vec<u8>> {
    tokio::fs::read(file).await.map_err(|error| {
        Error::new(ErrorKind::Io, "read file").with_detail(file.display().to_string()).with_source(error)
    })
}

/// A pin in one of its spellings: `sha256/BASE64`, curl's `sha256//BASE64`, or 64 hexadecimal digits.
fn parse_pin(text: &str) -> Result<[u8; 32]> {
    let bytes = match text.strip_prefix("sha256/") {
        Some(rest) => STANDARD.decode(rest.strip_prefix('/').unwrap_or(rest)).ok(),
        None => parse_hex(text),
    };
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "read pin").with_detail("neither sha256/BASE64 nor 64 hexadecimal digits")
    })
}

fn parse_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_in_every_spelling() {
        let bytes = [0xab; 32];
        let base64 = STANDARD.encode(bytes);
        let spellings = [format!("sha256/{base64}"), format!("sha256//{base64}"), "aB".repeat(32)];
        for spelling in spellings {
            assert_eq!(parse_pin(&spelling).ok(), Some(bytes), "{spelling}");
        }
        for wrong in ["", "sha256/", "sha256/AAAA", "abc", &"xy".repeat(32), &"ab".repeat(31)] {
            assert!(parse_pin(wrong).is_err(), "{wrong}");
        }
    }
}
