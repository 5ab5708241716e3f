//! TLS by rustls with the ring provider. This folder is the only place that names them.

mod failure;
mod handshake;
mod material;
mod pin;
mod settings;

pub(crate) use handshake::Plan;
pub use material::{Certificates, Identity};
pub use settings::{Tls, TlsVersion};

use std::sync::Arc;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};

/// The algorithms.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
