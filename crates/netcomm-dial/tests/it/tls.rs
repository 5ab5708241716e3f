//! TLS on loopback: roots, names, pins, client certificates, ALPN.

use std::net::SocketAddr;
use std::sync::Arc;

use netcomm_core::{Dial, Error, ErrorKind, Io, Result, Target, TlsTarget};
use netcomm_dial::{Certificates, Identity, Proxies, Tls, TlsVersion};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, PublicKeyData,
};
use tokio::io::AsyncReadExt;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use crate::servers::{Log, assert_echo, builder, echo, echo_on, http_proxy_on, listen, target};

/// An authority of this test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

struct Leaf {
    pem: String,
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // A stranger is known by its name, not by a wrong signature under a familiar one.
        let key = KeyPair::generate().expect("a key");
        params.distinguished_name.push(DnType::CommonName, hex(&key.subject_public_key_info()));
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    fn roots(&self) -> Certificates {
        Certificates::from_pem(self.0.pem()).expect("roots")
    }

    fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add(self.0.der().clone()).expect("a root");
        store
    }

    fn leaf(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        Leaf { pem: certificate.pem(), certificate: certificate.der().clone(), key }
    }

    fn server(&self, name: &str) -> Leaf {
        self.leaf(name, ExtendedKeyUsagePurpose::ServerAuth)
    }
}

impl Leaf {
    fn pin(&self) -> [u8; 32] {
        let digest = ::ring::digest::digest(&::ring::digest::SHA256, &self.key.subject_public_key_info());
        digest.as_ref().try_into().expect("32 bytes")
    }

    fn config(&self, clients: Option<&Authority>, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(versions).expect("versions");
        let builder = match clients {
            Some(authority) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authority.store()), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::try_from(self.key.serialize_der()).expect("a key");
        builder.with_single_cert(vec![self.certificate.clone()], key).expect("a certificate")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn serve(config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                echo_on(stream).await;
            }
        }
    })
    .await
}

fn to(address: SocketAddr) -> Target {
    target("a.example", address.port()).with_tls(TlsTarget::default())
}

async fn dial(tls: &Tls, target: &Target) -> Result<Io> {
    builder().tls(tls.clone()).build().dial(target).await
}

fn assert_tls(error: Result<Io>, words: &str) {
    let error: Error = error.expect_err("must be refused");
    assert_eq!(error.kind(), ErrorKind::Tls);
    assert!(error.detail().is_some_and(|detail| detail.contains(words)), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn roots_of_ones_own() {
    let authority = Authority::new();
    let leaf = authority.server("a.example");
    let address = serve(leaf.config(None, &[&version::TLS13, &version::TLS12])).await;
    let tls = Tls::new().with_roots(authority.roots());
    let io = dial(&tls, &to(address)).await.expect("a connection");
    let info = io.info().tls.clone().expect("tls");
    assert_eq!(info.version, "TLSv1.3");
    assert!(info.cipher_suite.starts_with("TLS_AES_"), "{info:?}");
    assert_eq!(info.peer_certificate.as_deref(), Some(leaf.certificate.as_ref()));
    assert!(io.info().alpn.is_none() && io.info().steps.tls.is_some());
    assert_echo(io).await;

    assert_tls(dial(&Tls::new().with_roots(Authority::new().roots()), &to(address)).await, "its issuer is not known");
    assert_tls(
        dial(&Tls::new().with_extra_roots(Authority::new().roots()), &to(address)).await,
        "its issuer is not known",
    );
    let extra = Tls::new().with_extra_roots(authority.roots());
    assert_echo(dial(&extra, &to(address)).await.expect("a connection")).await;
    let both = Tls::new().with_roots(Authority::new().roots()).with_extra_roots(authority.roots());
    assert_echo(dial(&both, &to(address)).await.expect("a connection")).await;
}

#[tokio::test]
async fn the_name_must_fit() {
    let authority = Authority::new();
    let address = serve(authority.server("b.example").config(None, &[&version::TLS13])).await;
    let tls = Tls::new().with_roots(authority.roots());
    assert_tls(dial(&tls, &to(address)).await, "certificate of a.example not accepted: it is for another name");
    let by_address = target("127.0.0.1", address.port()).with_tls(TlsTarget::default());
    assert_tls(dial(&tls, &by_address).await, "certificate of 127.0.0.1 not accepted: it is for another name");
    // The target may name the server otherwise than the host it is reached under.
    let named = TlsTarget { server_name: Some("B.example".to_owned()), alpn: Vec::new() };
    assert_echo(dial(&tls, &to(address).with_tls(named)).await.expect("a connection")).await;

    let address = serve(authority.server("127.0.0.1").config(None, &[&version::TLS13])).await;
    let by_address = target("127.0.0.1", address.port()).with_tls(TlsTarget::default());
    assert_echo(dial(&tls, &by_address).await.expect("a connection")).await;
}

#[tokio::test]
async fn pins() {
    let authority = Authority::new();
    let leaf = authority.server("a.example");
    let address = serve(leaf.config(None, &[&version::TLS13])).await;
    let tls = Tls::new().with_roots(authority.roots());
    let pinned = tls.with_pins([[0; 32], leaf.pin()]);
    assert_echo(dial(&pinned, &to(address)).await.expect("a connection")).await;
    for pins in [vec![[0; 32]], vec![]] {
        assert_tls(dial(&tls.with_pins(pins), &to(address)).await, "its key is not one of those pinned");
    }
    // A pin replaces nothing of the usual verification.
    let stranger = Tls::new().with_roots(Authority::new().roots()).with_pins([leaf.pin()]);
    assert_tls(dial(&stranger, &to(address)).await, "its issuer is not known");
}

#[tokio::test]
async fn client_certificates() {
    let authority = Authority::new();
    let client = authority.leaf("client", ExtendedKeyUsagePurpose::ClientAuth);
    let identity = Identity::from_pem(&client.pem, client.key.serialize_pem()).expect("an identity");
    let tls = Tls::new().with_roots(authority.roots());
    for versions in [&[&version::TLS12], &[&version::TLS13]] {
        let address = serve(authority.server("a.example").config(Some(&authority), versions)).await;
        let io = dial(&tls.with_client_certificate(identity.clone()), &to(address)).await.expect("a connection");
        assert_echo(io).await;

        // With TLS 1.3 the client is done before the server has seen that no certificate comes.
        let refused = match dial(&tls, &to(address)).await {
            Ok(mut io) => io.read_u8().await.is_err(),
            Err(error) => error.is_tls(),
        };
        assert!(refused);
    }
}

#[tokio::test]
async fn alpn() {
    let authority = Authority::new();
    let tls = Tls::new().with_roots(authority.roots());
    let dialer = builder().tls(tls).build();
    let offered = TlsTarget { server_name: None, alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()] };
    for (spoken, chosen) in [
        (vec!["h2", "http/1.1"], Ok(Some("h2"))),
        (vec!["http/1.1"], Ok(Some("http/1.1"))),
        (vec![], Ok(None)),
        (vec!["other"], Err(())),
    ] {
        let mut config = authority.server("a.example").config(None, &[&version::TLS13]);
        config.alpn_protocols = spoken.iter().map(|name| name.as_bytes().to_vec()).collect();
        let target = to(serve(config).await).with_tls(offered.clone());
        match (dialer.dial(&target).await, chosen) {
            (Ok(io), Ok(chosen)) => {
                assert_eq!(io.info().alpn.as_deref(), chosen.map(str::as_bytes))
            }
            (got, Err(())) => assert_tls(got, "it speaks none of the protocols offered"),
            (got, _) => panic!("{got:?}"),
        }
    }
}

#[tokio::test]
async fn the_least_version() {
    let authority = Authority::new();
    let address = serve(authority.server("a.example").config(None, &[&version::TLS12])).await;
    let tls = Tls::new().with_roots(authority.roots());
    let io = dial(&tls, &to(address)).await.expect("a connection");
    assert_eq!(io.info().tls.as_ref().map(|tls| tls.version.as_str()), Some("TLSv1.2"));
    assert_tls(dial(&tls.with_min_version(TlsVersion::Tls13), &to(address)).await, "a.example");
}

#[tokio::test]
async fn whoever_does_not_speak_tls() {
    let echo = echo().await;
    assert_tls(dial(&Tls::new().with_roots(Authority::new().roots()), &to(echo)).await, "a.example");
    let closing = listen(|stream| async move { drop(stream) }).await;
    let error = dial(&Tls::new().with_roots(Authority::new().roots()), &to(closing)).await.expect_err("must fail");
    assert!(error.is_tls() && error.is_retryable(), "{error}");
}

#[tokio::test]
async fn through_a_proxy_that_is_reached_by_tls() {
    let (authority, proxy_authority) = (Authority::new(), Authority::new());
    let end = serve(authority.server("a.example").config(None, &[&version::TLS13])).await;
    let log = Log::default();
    let acceptor =
        TlsAcceptor::from(Arc::new(proxy_authority.server("proxy.example").config(None, &[&version::TLS13])));
    let proxy_log = log.clone();
    let proxy = listen(move |stream| {
        let (acceptor, log) = (acceptor.clone(), proxy_log.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                http_proxy_on(stream, log, end).await;
            }
        }
    })
    .await;

    let proxies = Proxies::all(&format!("https://user:pass@proxy.example:{}", proxy.port())).expect("a proxy");
    let tls = Tls::new().with_roots(authority.roots());
    let builder = || builder().proxies(proxies.clone()).tls(tls.clone());
    let dialer = builder().proxy_tls(Tls::new().with_roots(proxy_authority.roots())).build();
    let io = dialer.dial(&to(end)).await.expect("a tunnel");
    assert!(io.info().steps.proxy.is_some() && io.info().steps.tls.is_some());
    assert_echo(io).await;
    assert_eq!(log.lines(), [format!("CONNECT a.example:{} HTTP/1.1", end.port())]);

    // Whom targets are trusted by says nothing about proxies.
    let dialer = builder().proxy_tls(tls.clone()).build();
    assert_tls(dialer.dial(&to(end)).await, "certificate of proxy.example not accepted");
}

#[test]
fn public_types_may_be_shared() {
    fn shared<T: Send + Sync + std::fmt::Debug + Clone>() {}
    shared::<Tls>();
    shared::<Certificates>();
    shared::<Identity>();
}
