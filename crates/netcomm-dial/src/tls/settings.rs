//! What TLS trusts, shows and accepts, and the configuration made of it.

use std::fmt;
use std::sync::Arc;

use netcomm_core::{Error, ErrorKind, Result};
use rustls_platform_verifier::Verifier;
use tokio::sync::OnceCell;
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::sign::SingleCertAndKey;
use tokio_rustls::rustls::{ClientConfig, SupportedProtocolVersion, version};

use super::material::{Certificates, Identity};
use super::pin::Pinned;
use super::provider;

const FROM_TLS12: &[&SupportedProtocolVersion] = &[&version::TLS13, &version::TLS12];
const FROM_TLS13: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// Settings of TLS: whom to trust, as whom to appear, what to accept at least. A value, cheap to
/// clone.
///
/// By default servers are checked by the platform's verifier (on Linux: the system's root
/// certificates), no client certificate is shown, and TLS 1.2 is the least. There is no switch that
/// accepts any certificate.
///
/// The platform's roots are read at the first handshake, on a thread for blocking work, and kept.
/// Sessions are resumed within one `Tls` and its clones (256 servers at most); a changed copy
/// starts without any.
///
/// ```
/// use netcomm_dial::{Dialer, Tls, TlsVersion};
///
/// let tls = Tls::new().with_min_version(TlsVersion::Tls13);
/// let dialer = Dialer::builder().tls(tls).build();
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    settings: Settings,
    config: Arc<OnceCell<Arc<ClientConfig>>>,
}

#[derive(Clone, Default)]
struct Settings {
    roots: Option<Certificates>,
    extra_roots: Option<Certificates>,
    identity: Option<Identity>,
    pins: Option<Arc<[[u8; 32]]>>,
    min_version: TlsVersion,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246). The default minimum.
    #[default]
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

impl Tls {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, trusting these roots and no others: the platform's do not count any more.
    #[must_use]
    pub fn with_roots(&self, roots: Certificates) -> Self {
        self.with(|settings| settings.roots = Some(roots))
    }

    /// The same, trusting these roots beside the others. Takes the place of earlier extra roots.
    #[must_use]
    pub fn with_extra_roots(&self, roots: Certificates) -> Self {
        self.with(|settings| settings.extra_roots = Some(roots))
    }

    /// The same, showing that certificate to servers that ask for one.
    #[must_use]
    pub fn with_client_certificate(&self, identity: Identity) -> Self {
        self.with(|settings| settings.identity = Some(identity))
    }

    /// The same, accepting only servers whose own public key is one of these, beside the usual
    /// verification. A pin is the SHA-256 of the certificate's `SubjectPublicKeyInfo` (RFC 7469
    /// §2.4). With no pin at all nobody is accepted.
    ///
    /// Keys of authorities do not count, only the server's own: pin its next key too.
    #[must_use]
    pub fn with_pins(&self, pins: impl IntoIterator<Item = [u8; 32]>) -> Self {
        self.with(|settings| settings.pins = Some(pins.into_iter().collect()))
    }

    /// The same, accepting that version or a later one. Default TLS 1.2.
    #[must_use]
    pub fn with_min_version(&self, version: TlsVersion) -> Self {
        self.with(|settings| settings.min_version = version)
    }

    fn with(&self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.settings.clone();
        change(&mut settings);
        Self { settings, config: Arc::default() }
    }

    /// The configuration, made when it is first needed.
    pub(super) async fn config(&self) -> Result<&Arc<ClientConfig>> {
        self.config
            .get_or_try_init(|| async {
                let settings = self.settings.clone();
                if settings.roots.is_some() {
                    return settings.config();
                }
                // Reads the system's certificates from disk.
                let made = tokio::task::spawn_blocking(move || settings.config()).await;
                made.map_err(|error| unusable("the runtime shuts down", error))?
            })
            .await
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { roots, extra_roots, identity, pins, min_version } = &self.settings;
        f.debug_struct("Tls")
            .field("roots", roots)
            .field("extra_roots", extra_roots)
            .field("identity", identity)
            .field("pins", &pins.as_ref().map(|pins| pins.len()))
            .field("min_version", min_version)
            .finish()
    }
}

impl Settings {
    fn config(&self) -> Result<Arc<ClientConfig>> {
        let mut verifier = self.verifier()?;
        if let Some(pins) = &self.pins {
            verifier = Arc::new(Pinned { inner: verifier, pins: Arc::clone(pins) });
        }
        let builder = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(self.min_version.and_later())
            .map_err(|error| unusable("no protocol version fits", error))?
            .dangerous() // rustls' word for a verifier that it does not make itself
            .with_custom_certificate_verifier(verifier);
        Ok(Arc::new(match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key()))),
            None => builder.with_no_client_auth(),
        }))
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>> {
        if let Some(roots) = &self.roots {
            let roots = self.extra_roots.as_ref().map_or_else(|| roots.clone(), |extra| roots.and(extra));
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots.store()?), provider()).build();
            return Ok(verifier.map_err(|error| unusable("the root certificates cannot be used", error))?);
        }
        Ok(Arc::new(platform(self.extra_roots.as_ref())?))
    }
}

#[cfg(not(target_os = "android"))]
fn platform(extra: Option<&Certificates>) -> Result<Verifier> {
    Verifier::new_with_extra_roots(extra.into_iter().flat_map(Certificates::ders), provider())
        .map_err(|error| unusable("the platform's root certificates cannot be used", error))
}

#[cfg(target_os = "android")]
fn platform(extra: Option<&Certificates>) -> Result<Verifier> {
    if extra.is_some() {
        return Err(Error::new(ErrorKind::Unsupported, "tls").with_detail("android's verifier takes no extra roots"));
    }
    Verifier::new(provider()).map_err(|error| unusable("the platform's verifier cannot be used", error))
}

impl TlsVersion {
    fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::Tls12 => FROM_TLS12,
            Self::Tls13 => FROM_TLS13,
        }
    }
}

fn unusable(detail: &'static str, source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Tls, "tls").with_detail(detail).with_source(source)
}
