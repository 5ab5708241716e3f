//! TCP sockets and their options.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};

use crate::race::Connect;

/// Between two probes of a connection that does not answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);
/// Probes without an answer after which a connection is given up.
#[cfg(not(any(target_os = "openbsd", target_os = "solaris")))]
const PROBES: u32 = 4;

/// Opens TCP connections with options set.
#[derive(Clone, Debug)]
pub(crate) struct TcpConnector {
    pub(crate) nodelay: bool,
    pub(crate) keep_alive: Option<Duration>,
    pub(crate) local_address: Option<IpAddr>,
}

impl Default for TcpConnector {
    fn default() -> Self {
        Self { nodelay: true, keep_alive: Some(Duration::from_secs(60)), local_address: None }
    }
}

impl Connect for TcpConnector {
    type Stream = TcpStream;

    async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(local) = self.local_address {
            if local.is_ipv4() != address.is_ipv4() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrNotAvailable,
                    "the local address is of the other family",
                ));
            }
            socket.bind(SocketAddr::new(local, 0))?;
        }
        let stream = socket.connect(address).await?;
        self.set_options(&stream);
        Ok(stream)
    }

    fn local(stream: &TcpStream) -> Option<SocketAddr> {
        stream.local_addr().ok()
    }
}

impl TcpConnector {
    /// Sets what can be set: a connection without an option is better than none.
    fn set_options(&self, stream: &TcpStream) {
        if self.nodelay {
            drop(stream.set_nodelay(true));
        }
        if let Some(time) = self.keep_alive {
            let keep_alive = TcpKeepalive::new().with_time(time);
            #[cfg(not(any(target_os = "openbsd", target_os = "solaris")))]
            let keep_alive = keep_alive.with_interval(PROBE_INTERVAL).with_retries(PROBES);
            drop(SockRef::from(stream).set_tcp_keepalive(&keep_alive));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn options_are_set() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
        let address = listener.local_addr().expect("its address");
        let connector = TcpConnector { local_address: Some([127, 0, 0, 1].into()), ..TcpConnector::default() };
        let stream = connector.connect(address).await.expect("a connection");
        assert!(stream.nodelay().expect("an option"));
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().expect("an option"));
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        assert_eq!(socket.tcp_keepalive_time().expect("an option"), Duration::from_secs(60));

        let plain = TcpConnector { nodelay: false, keep_alive: None, local_address: None };
        let stream = plain.connect(address).await.expect("a connection");
        assert!(!stream.nodelay().expect("an option"));
        assert!(!SockRef::from(&stream).keepalive().expect("an option"));
    }

    #[tokio::test]
    async fn a_local_address_of_the_other_family_fails_at_once() {
        let connector = TcpConnector { local_address: Some(IpAddr::from([0; 16])), ..TcpConnector::default() };
        let error = connector.connect(([127, 0, 0, 1], 9).into()).await.expect_err("must fail");
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
    }
}
