//! What stands in for TLS where it is not built in: it refuses, before anything is opened.

use std::convert::Infallible;
use std::future::Ready;

use netcomm_core::{Error, ErrorKind, Host, Result, TlsInfo, TlsTarget};

/// No settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls(());

/// A handshake that cannot happen.
pub(crate) struct Plan(Infallible);

/// A stream with TLS on top, and what was agreed on.
pub(crate) struct Secured<S> {
    pub(crate) stream: S,
    pub(crate) info: TlsInfo,
    pub(crate) alpn: Option<Vec<u8>>,
}

impl Plan {
    pub(crate) fn new(_: &TlsTarget, _: Option<&Host>) -> Result<Self> {
        Err(Error::new(ErrorKind::Unsupported, "tls").with_detail("netcomm-dial was built without its feature tls"))
    }
}

impl Tls {
    pub(crate) fn handshake<S>(&self, _: S, plan: &Plan) -> Ready<Result<Secured<S>>> {
        match plan.0 {}
    }
}
