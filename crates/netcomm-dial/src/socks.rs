//! A tunnel by SOCKS version 5 (RFC 1928), with user and password (RFC 1929).

use std::net::SocketAddr;

use netcomm_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_socks::TargetAddr;
use tokio_socks::tcp::Socks5Stream;

use crate::server::Server;

/// Where the tunnel shall end.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End<'a> {
    /// At an address.
    Address(SocketAddr),
    /// At whatever the proxy finds under that name.
    Name(&'a str, u16),
}

/// Asks the proxy at the other end of `stream` for a tunnel.
///
/// # Cancel safety
///
/// Dropping the future drops the stream.
pub(crate) async fn tunnel<S>(stream: S, proxy: &Server, end: End<'_>) -> Result<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let end = match end {
        End::Address(address) => TargetAddr::Ip(address),
        // RFC 1928 §5 has one byte for the name's length.
        End::Name(name, _) if name.len() > 255 => {
            return Err(Error::new(ErrorKind::Invalid, "socks5").with_detail("a name has at most 255 bytes"));
        }
        End::Name(name, port) => TargetAddr::Domain(name.into(), port),
    };
    let place = end.to_string();
    let tunnel = match &proxy.credentials {
        Some(credentials) => {
            let (user, password) = (credentials.user.as_str(), credentials.password.expose());
            Socks5Stream::connect_with_password_and_socket(stream, end, user, password).await
        }
        None => Socks5Stream::connect_with_socket(stream, end).await,
    };
    tunnel.map(Socks5Stream::into_inner).map_err(|error| failed(proxy, &place, error))
}

fn failed(proxy: &Server, place: &str, source: tokio_socks::Error) -> Error {
    use tokio_socks::Error as Socks;
    let (words, passing) = match &source {
        Socks::Io(_) => ("went away before the tunnel stood", true),
        Socks::GeneralSocksServerFailure => ("failed", true),
        Socks::NetworkUnreachable | Socks::HostUnreachable | Socks::TtlExpired => ("does not reach it", true),
        Socks::ConnectionRefused => ("was refused there", true),
        Socks::AddressTypeNotSupported => ("does not support such addresses", true),
        Socks::ConnectionNotAllowedByRuleset => ("does not allow it", false),
        Socks::PasswordAuthFailure(_) => ("does not accept the credentials", false),
        Socks::AuthorizationRequired | Socks::NoAcceptableAuthMethods if proxy.credentials.is_none() => {
            ("asks for credentials", false)
        }
        _ => ("does not speak socks5 as expected", false),
    };
    let error =
        Error::new(ErrorKind::Proxy, "socks5").with_detail(format!("{proxy} {words}: {place}")).with_source(source);
    if passing { error.with_unsent() } else { error }
}
