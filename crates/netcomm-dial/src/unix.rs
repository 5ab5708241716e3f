//! Unix-domain sockets, where there are any.

use std::path::Path;

use netcomm_core::{Error, ErrorKind, Result};

#[cfg(unix)]
pub(crate) async fn connect(path: &Path) -> Result<tokio::net::UnixStream> {
    tokio::net::UnixStream::connect(path).await.map_err(|error| {
        let detail = format!("unix:{}: {error}", path.display());
        Error::new(ErrorKind::Connect, "dial").with_detail(detail).with_source(error)
    })
}

#[cfg(not(unix))]
pub(crate) fn connect(_: &Path) -> std::future::Ready<Result<tokio::net::TcpStream>> {
    let error = Error::new(ErrorKind::Unsupported, "dial");
    std::future::ready(Err(error.with_detail("unix sockets are not supported on this system")))
}
