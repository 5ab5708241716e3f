//! Why a handshake failed, in words that help.

use std::io;

use netcomm_core::{Error, ErrorKind};
use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError};

/// The error for a handshake with `name` that ended with `error`.
pub(super) fn failed(name: &str, error: io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    let Some(inner) = inner else {
        // The peer or the path went away in the middle: nothing was sent, another try may fare
        // better.
        return Error::new(ErrorKind::Tls, "tls handshake")
            .with_detail(format!("the connection to {name} broke off"))
            .with_source(error)
            .with_unsent();
    };
    let detail = match inner {
        TlsError::InvalidCertificate(reason) => {
            format!("certificate of {name} not accepted: {}", words(reason))
        }
        TlsError::AlertReceived(alert) => format!("{name} refused: {}", alert_words(*alert)),
        TlsError::NoApplicationProtocol => format!("{name} speaks none of the protocols offered"),
        TlsError::PeerIncompatible(_) => format!("nothing in common with {name}"),
        TlsError::InvalidMessage(_) => format!("{name} does not speak tls"),
        TlsError::PeerMisbehaved(_) => format!("{name} broke the protocol"),
        _ => format!("with {name}"),
    };
    Error::new(ErrorKind::Tls, "tls handshake").with_detail(detail).with_source(error)
}

fn words(reason: &CertificateError) -> &'static str {
    match reason {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet",
        CertificateError::Revoked => "it was revoked",
        CertificateError::UnknownIssuer => "its issuer is not known",
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => "it is for another name",
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => "it is not for servers",
        CertificateError::BadSignature => "a signature is wrong",
        CertificateError::BadEncoding => "it is malformed",
        CertificateError::ApplicationVerificationFailure => "its key is not one of those pinned",
        _ => "see the source",
    }
}

fn alert_words(alert: AlertDescription) -> String {
    match alert {
        AlertDescription::CertificateRequired => "it asks for a client certificate".to_owned(),
        AlertDescription::NoApplicationProtocol => "it speaks none of the protocols offered".to_owned(),
        AlertDescription::ProtocolVersion => "no common version of tls".to_owned(),
        AlertDescription::UnrecognisedName => "it does not know the name".to_owned(),
        AlertDescription::HandshakeFailure => "no common parameters".to_owned(),
        other => format!("alert {}", u8::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_wrong() {
        for (error, expected) in [
            (
                TlsError::InvalidCertificate(CertificateError::UnknownIssuer),
                "certificate of a.example not accepted: its issuer is not known",
            ),
            (
                TlsError::InvalidCertificate(CertificateError::Expired),
                "certificate of a.example not accepted: it has expired",
            ),
            (
                TlsError::AlertReceived(AlertDescription::CertificateRequired),
                "a.example refused: it asks for a client certificate",
            ),
            (TlsError::AlertReceived(AlertDescription::InternalError), "a.example refused: alert 80"),
        ] {
            let error = failed("a.example", io::Error::new(io::ErrorKind::InvalidData, error));
            assert_eq!((error.kind(), error.detail(), error.is_retryable()), (ErrorKind::Tls, Some(expected), false));
        }
    }

    #[test]
    fn a_broken_connection_may_be_tried_again() {
        let error = failed("a.example", io::ErrorKind::UnexpectedEof.into());
        assert!(error.is_tls() && error.is_retryable());
    }
}
