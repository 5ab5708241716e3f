//! Certificate pinning, on top of the usual verification.

use std::sync::Arc;

use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// Accepts what `inner` accepts if the server's own key is one of `pins`.
///
/// Only the server's own certificate counts: the others of its chain are not authenticated by the
/// handshake, so a holder of any accepted certificate could append a pinned one to its chain.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) inner: Arc<dyn ServerCertVerifier>,
    pub(super) pins: Arc<[[u8; 32]]>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        let key = ParsedCertificate::try_from(end_entity)?.subject_public_key_info();
        let digest = digest(&SHA256, key.as_ref());
        if self.pins.iter().any(|pin| pin == digest.as_ref()) {
            Ok(verified)
        } else {
            // RFC 7469 §2.6 knows this failure; rustls has no word of its own for it.
            Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
