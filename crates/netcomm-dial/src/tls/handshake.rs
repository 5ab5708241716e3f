//! The handshake: what it is to agree on, and what it agreed on.

use bytes::Bytes;
use netcomm_core::{Error, ErrorKind, Host, Result, TlsInfo, TlsTarget};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConnection, ProtocolVersion};

use super::failure::failed;
use super::settings::Tls;

/// What a handshake is to agree on, checked before anything is opened.
pub(crate) struct Plan {
    server_name: ServerName<'static>,
    alpn: Vec<Vec<u8>>,
}

/// A stream with TLS on top, and what was agreed on.
pub(crate) struct Secured<S> {
    pub(crate) stream: TlsStream<S>,
    pub(crate) info: TlsInfo,
    pub(crate) alpn: Option<Vec<u8>>,
}

impl Plan {
    /// The name is the target's own if it has one, the endpoint's host otherwise. An address is no
    /// SNI (RFC 6066 §3): the certificate must carry it as an address.
    pub(crate) fn new(target: &TlsTarget, host: Option<&Host>) -> Result<Self> {
        let invalid = |detail: &'static str| Error::new(ErrorKind::Invalid, "tls").with_detail(detail);
        let host = match (&target.server_name, host) {
            (Some(name), _) => &Host::parse(name)?,
            (None, Some(host)) => host,
            (None, None) => return Err(invalid("a unix socket needs a server name for tls")),
        };
        let server_name = match host {
            Host::Name(name) => ServerName::try_from(name.clone())
                .map_err(|error| invalid("unusable server name").with_source(error))?,
            Host::V4(address) => ServerName::IpAddress((*address).into()),
            Host::V6(address) => ServerName::IpAddress((*address).into()),
        };
        // RFC 7301 §3.1: a protocol's name has 1 to 255 bytes.
        if target.alpn.iter().any(|protocol| protocol.is_empty() || protocol.len() > 255) {
            return Err(invalid("a protocol's name has 1 to 255 bytes"));
        }
        Ok(Self { server_name, alpn: target.alpn.clone() })
    }
}

impl Tls {
    /// Makes the handshake on `stream`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the stream.
    pub(crate) async fn handshake<S>(&self, stream: S, plan: &Plan) -> Result<Secured<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(self.config().await?.clone());
        let connect = connector.with_alpn(plan.alpn.clone()).connect(plan.server_name.clone(), stream);
        let stream = connect.await.map_err(|error| failed(&plan.server_name.to_str(), error))?;
        let (_, connection) = stream.get_ref();
        let (info, alpn) = (agreed(connection), connection.alpn_protocol().map(<[u8]>::to_vec));
        Ok(Secured { stream, info, alpn })
    }
}

fn agreed(connection: &ClientConnection) -> TlsInfo {
    let mut info = TlsInfo::default();
    info.version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
        other => other.map_or_else(String::new, |version| format!("{version:?}")),
    };
    if let Some(suite) = connection.negotiated_cipher_suite() {
        let name = suite.suite();
        // rustls writes `TLS13_AES_…` where IANA says `TLS_AES_…`.
        info.cipher_suite =
            name.as_str().map_or_else(|| format!("{name:?}"), |name| name.replacen("TLS13_", "TLS_", 1));
    }
    info.peer_certificate = connection
        .peer_certificates()
        .and_then(|chain| chain.first())
        .map(|certificate| Bytes::copy_from_slice(certificate));
    info
}
