//! A certificate authority of one's own, its certificates, and TLS servers.

use std::fmt;
use std::io;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::server::TlsStream;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate authority that lives as long as the test. Its certificates are valid from yesterday for 90 days, which
/// the verifiers of all platforms accept.
///
/// # Examples
///
/// ```
/// use netcomm_tests::TestCa;
///
/// let ca = TestCa::new();
/// let server = ca.server(&["example.com", "127.0.0.1"]);
/// assert!(ca.pem().starts_with("-----BEGIN CERTIFICATE-----"));
/// let config = server.server_config(&[b"h2", b"http/1.1"]);
/// assert_eq!(config.alpn_protocols.len(), 2);
/// ```
pub struct TestCa {
    issuer: Issuer<'static, KeyPair>,
    root: Certificate,
    /// Own certificate first, up to but without the root.
    chain: Vec<Certificate>,
}

#[derive(Clone)]
struct Certificate {
    der: CertificateDer<'static>,
    pem: String,
}

/// A certificate with its chain and private key: what a server or a client shows.
pub struct TestIdentity {
    chain: Vec<Certificate>,
    key: PrivateKeyDer<'static>,
    key_pem: String,
}

impl TestCa {
    /// A new root.
    ///
    /// # Panics
    ///
    /// If the system gives no random bytes.
    #[must_use]
    pub fn new() -> Self {
        let key = new_key();
        let params = ca_params("netcomm test root");
        let root = params.self_signed(&key).expect("the parameters are complete").into();
        Self { issuer: Issuer::new(params, key), root, chain: Vec::new() }
    }

    /// An authority below this one; its servers send the intermediate certificate along.
    #[must_use]
    pub fn intermediate(&self) -> Self {
        let key = new_key();
        let params = ca_params("netcomm test intermediate");
        let chain = self.chain_of(&params, &key);
        Self { issuer: Issuer::new(params, key), root: self.root.clone(), chain }
    }

    /// An identity for a server of these names; addresses may be among them.
    ///
    /// # Panics
    ///
    /// If one is neither a name nor an address.
    #[must_use]
    pub fn server(&self, names: &[&str]) -> TestIdentity {
        self.issue(&server_params(names))
    }

    /// As [`server`](Self::server), valid until yesterday.
    ///
    /// # Panics
    ///
    /// If one is neither a name nor an address.
    #[must_use]
    pub fn expired_server(&self, names: &[&str]) -> TestIdentity {
        let mut params = server_params(names);
        params.not_before = (SystemTime::now() - 30 * DAY).into();
        params.not_after = (SystemTime::now() - DAY).into();
        self.issue(&params)
    }

    /// An identity for a client of that common name.
    #[must_use]
    pub fn client(&self, name: &str) -> TestIdentity {
        let mut params = params(name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    /// The root certificate, PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.root.pem
    }

    /// The root certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.root.der
    }

    /// A store with the root alone.
    ///
    /// # Panics
    ///
    /// Never: the root is well formed.
    #[must_use]
    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.der.clone()).expect("the root is well formed");
        roots
    }

    /// A client that trusts this root alone and offers these protocols.
    ///
    /// # Panics
    ///
    /// Never: the provider speaks the default versions.
    #[must_use]
    pub fn client_config(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider speaks the default versions")
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        config.alpn_protocols = owned(alpn);
        Arc::new(config)
    }

    fn issue(&self, params: &CertificateParams) -> TestIdentity {
        let key = new_key();
        TestIdentity {
            chain: self.chain_of(params, &key),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            key_pem: key.serialize_pem(),
        }
    }

    fn chain_of(&self, params: &CertificateParams, key: &KeyPair) -> Vec<Certificate> {
        let own = params.signed_by(key, &self.issuer).expect("the parameters are complete").into();
        iter::once(own).chain(self.chain.iter().cloned()).collect()
    }
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TestCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestCa").field("intermediates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl TestIdentity {
    /// The certificates, own one first, without the root, PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        self.chain.iter().map(|certificate| certificate.pem.as_str()).collect()
    }

    /// The private key (PKCS #8), PEM.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    /// The certificates, own one first, without the root, DER.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.iter().map(|certificate| certificate.der.clone()).collect()
    }

    /// The own certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.chain[0].der
    }

    /// The private key (PKCS #8), DER.
    #[must_use]
    pub fn key_der(&self) -> &[u8] {
        self.key.secret_der()
    }

    /// A server that shows this identity and agrees to these protocols, most wanted first; none: no ALPN.
    ///
    /// # Panics
    ///
    /// If this is a client's identity that no server can show.
    #[must_use]
    pub fn server_config(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        self.config(None, alpn)
    }

    /// As [`server_config`](Self::server_config), for clients only that show a certificate of `clients`.
    ///
    /// # Panics
    ///
    /// If this is a client's identity that no server can show.
    #[must_use]
    pub fn server_config_for(&self, clients: &TestCa, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        self.config(Some(clients), alpn)
    }

    /// Takes a TLS connection on any stream: the server's half of the handshake, with
    /// [`server_config`](Self::server_config).
    ///
    /// # Errors
    ///
    /// What the handshake fails with; a client that does not trust the certificate makes it fail here too.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the stream.
    ///
    /// # Panics
    ///
    /// If this is a client's identity that no server can show.
    pub async fn accept<S>(&self, stream: S, alpn: &[&[u8]]) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.server_config(alpn)).accept(stream).await
    }

    fn config(&self, clients: Option<&TestCa>, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("the provider speaks the default versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(ca.roots()), provider())
                    .build()
                    .expect("a verifier of one root");
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config =
            builder.with_single_cert(self.chain(), self.key.clone_key()).expect("the key fits the certificate");
        config.alpn_protocols = owned(alpn);
        Arc::new(config)
    }
}

impl fmt::Debug for TestIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestIdentity").field("certificates", &self.chain.len()).finish_non_exhaustive()
    }
}

impl From<rcgen::Certificate> for Certificate {
    fn from(certificate: rcgen::Certificate) -> Self {
        Self { pem: certificate.pem(), der: certificate.into() }
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn owned(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.to_vec()).collect()
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the system gives random bytes")
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.not_before = (SystemTime::now() - DAY).into();
    params.not_after = (SystemTime::now() + 89 * DAY).into();
    params.use_authority_key_identifier_extension = true;
    params
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn server_params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let of_names = CertificateParams::new(names).expect("names or addresses");
    let mut params = params("netcomm test server");
    params.subject_alt_names = of_names.subject_alt_names;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}
