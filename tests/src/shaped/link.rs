//! A link between two sockets of this machine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::lane::connect;
use super::{LinkControl, LinkProfile};

/// A link on loopback that leads to a server: what connects to its address comes out at the server's, late and slowly, or not at
/// all. For clients that open sockets themselves; where a dialer can be handed in, [`ShapedDialer`](super::ShapedDialer) is exact.
///
/// Connections end when it is dropped.
#[derive(Debug)]
pub struct ShapedLink {
    address: SocketAddr,
    control: LinkControl,
    _tasks: JoinSet<()>,
}

impl ShapedLink {
    /// A link of that kind to that address; chance comes from the seed.
    ///
    /// # Errors
    ///
    /// If there is no port.
    ///
    /// # Cancel safety
    ///
    /// Nothing is left behind if the future is dropped.
    pub async fn to(server: SocketAddr, profile: LinkProfile, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let control = LinkControl::new(profile, seed);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, control.clone()));
        Ok(Self { address, control, _tasks: tasks })
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What steers it.
    #[must_use]
    pub fn control(&self) -> &LinkControl {
        &self.control
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, control: LinkControl) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        connections.spawn(serve(client, server, control.clone()));
    }
}

async fn serve(mut client: TcpStream, server: SocketAddr, control: LinkControl) {
    let ended = lead(&mut client, server, &control).await;
    if ended.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset) {
        // Whether it can be reset or just ends: it is over.
        drop(client.set_zero_linger());
    }
}

async fn lead(client: &mut TcpStream, server: SocketAddr, control: &LinkControl) -> io::Result<()> {
    if control.state().is_refusing {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    client.set_nodelay(true)?;
    let mut server = TcpStream::connect(server).await?;
    server.set_nodelay(true)?;
    connect(client.split(), server.split(), control).await
}
