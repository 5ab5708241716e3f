//! Certificates and keys that the caller brings.

use std::fmt;
use std::sync::Arc;

use netcomm_core::{Error, ErrorKind, Result};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::provider;

/// Certificates of authorities that are to be trusted.
#[derive(Clone)]
pub struct Certificates {
    ders: Arc<[CertificateDer<'static>]>,
}

impl Certificates {
    /// All certificates of a PEM text, at least one. What else the text holds is passed over.
    ///
    /// # Errors
    ///
    /// Kind [`Invalid`](ErrorKind::Invalid) if the text is malformed, holds no certificate, or one
    /// that cannot serve as a root.
    pub fn from_pem(pem: impl AsRef<[u8]>) -> Result<Self> {
        Self::checked(chain_of_pem(pem.as_ref(), "read root certificates")?)
    }

    /// One certificate in DER.
    ///
    /// # Errors
    ///
    /// Kind [`Invalid`](ErrorKind::Invalid) if it is malformed or cannot serve as a root.
    pub fn from_der(der: impl Into<Vec<u8>>) -> Result<Self> {
        Self::checked(vec![CertificateDer::from(der.into())])
    }

    /// Both sets together.
    #[must_use]
    pub fn and(&self, others: &Self) -> Self {
        Self { ders: self.ders.iter().chain(others.ders.iter()).cloned().collect() }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.ders.len()
    }

    fn checked(ders: Vec<CertificateDer<'static>>) -> Result<Self> {
        let certificates = Self { ders: ders.into() };
        certificates.store()?;
        Ok(certificates)
    }

    pub(super) fn ders(&self) -> impl Iterator<Item = CertificateDer<'static>> {
        self.ders.iter().cloned()
    }

    pub(super) fn store(&self) -> Result<RootCertStore> {
        let mut store = RootCertStore::empty();
        for der in self.ders() {
            store.add(der).map_err(|error| {
                Error::new(ErrorKind::Invalid, "read root certificates")
                    .with_detail("a certificate cannot be used as a root")
                    .with_source(error)
            })?;
        }
        Ok(store)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("count", &self.count()).finish()
    }
}

/// A client's certificate chain and its private key. The key shows itself to no `Debug`.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
}

impl Identity {
    /// A chain, the client's own certificate first, and the private key that belongs to it (PKCS
    /// #8, PKCS #1 or SEC 1). Both may stand in one text that is given twice.
    ///
    /// # Errors
    ///
    /// Kind [`Invalid`](ErrorKind::Invalid) if one of them is missing or malformed, if the key's
    /// algorithm is not supported, or if the two do not belong together.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self> {
        const OPERATION: &str = "read client certificate";
        let chain = chain_of_pem(chain.as_ref(), OPERATION)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(|error| {
            // The parser's words can quote what it read: they stay out.
            let detail = match error {
                tokio_rustls::rustls::pki_types::pem::Error::NoItemsFound => "no private key found",
                _ => "the private key is malformed",
            };
            Error::new(ErrorKind::Invalid, OPERATION).with_detail(detail)
        })?;
        let key = CertifiedKey::from_der(chain, key, &provider()).map_err(|error| {
            Error::new(ErrorKind::Invalid, OPERATION)
                .with_detail("certificate and private key cannot be used together")
                .with_source(error)
        })?;
        Ok(Self { key: Arc::new(key) })
    }

    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("certificates", &self.key.cert.len()).finish_non_exhaustive()
    }
}

fn chain_of_pem(pem: &[u8], operation: &'static str) -> Result<Vec<CertificateDer<'static>>> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| Error::new(ErrorKind::Invalid, operation).with_detail("malformed PEM"))?;
    if chain.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, operation).with_detail("no certificate found"));
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn self_signed() -> (String, String) {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).expect("a name");
        (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
    }

    #[test]
    fn an_identity_needs_a_key_that_belongs_to_it() {
        let (chain, key) = self_signed();
        let (_, other_key) = self_signed();
        assert!(Identity::from_pem(&chain, &key).is_ok());
        assert!(Identity::from_pem(format!("{key}{chain}"), format!("{chain}{key}")).is_ok(), "both in one text");
        for (chain, key) in
            [(chain.as_str(), other_key.as_str()), (&chain, ""), ("", &key), (&chain, "x"), (&key, &key)]
        {
            let error = Identity::from_pem(chain, key).expect_err("must be refused");
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
    }

    #[test]
    fn no_key_is_shown() {
        let (chain, key) = self_signed();
        let canary = key.lines().nth(1).expect("a line of the key").to_owned();
        let identity = Identity::from_pem(&chain, &key).expect("an identity");
        assert_eq!(format!("{identity:?}"), "Identity { certificates: 1, .. }");
        let broken = key.replace("END PRIVATE", "END BROKEN");
        let error = Identity::from_pem(&chain, broken).expect_err("must be refused");
        assert!(!format!("{error} {error:?}").contains(&canary), "{error:?}");
    }

    #[test]
    fn roots_are_counted_and_checked() {
        let (one, _) = self_signed();
        let (two, _) = self_signed();
        let both = Certificates::from_pem(format!("{one}\n{two}")).expect("two certificates");
        assert_eq!(both.count(), 2);
        assert_eq!(both.and(&both).count(), 4);
        for bad in
            ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\n"]
        {
            assert_eq!(
                Certificates::from_pem(bad).map_err(|error| error.kind()).err(),
                Some(ErrorKind::Invalid),
                "{bad}"
            );
        }
        assert!(Certificates::from_der(vec![0x30, 0x00]).is_err());
    }
}
