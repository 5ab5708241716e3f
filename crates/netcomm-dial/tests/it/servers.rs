//! Small servers on 127.0.0.1: an echo, an HTTP proxy, a SOCKS5 proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use netcomm_core::{Host, Result, Target};
use netcomm_dial::{Answer, Dialer, DialerBuilder, Proxies, Resolve};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

/// Every name is this machine.
#[derive(Debug)]
pub(crate) struct Here;

impl Resolve for Here {
    async fn resolve(&self, _: &str) -> Result<Answer> {
        Ok(vec![[127, 0, 0, 1].into()].into())
    }
}

pub(crate) fn builder() -> DialerBuilder {
    Dialer::builder().resolver(Here).proxies(Proxies::none())
}

pub(crate) fn target(host: &str, port: u16) -> Target {
    Target::tcp(Host::parse(host).expect("a host"), port)
}

/// A server that hands each connection to `serve`, until the test ends.
pub(crate) async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a listener");
    let address = listener.local_addr().expect("its address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// Sends back what it receives.
pub(crate) async fn echo() -> SocketAddr {
    listen(echo_on).await
}

pub(crate) async fn echo_on(stream: impl AsyncRead + AsyncWrite + Send) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    drop(tokio::io::copy(&mut reader, &mut writer).await);
    drop(writer.shutdown().await);
}

/// Sends a word and expects it back.
pub(crate) async fn assert_echo(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    io.write_all(b"hello").await.expect("a write");
    io.flush().await.expect("a flush");
    let mut answer = [0; 5];
    io.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"hello");
}

/// What a proxy was asked, in its own words.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub(crate) fn push(&self, line: impl Into<String>) {
        self.0.lock().expect("no panic").push(line.into());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic").clone()
    }
}

/// An HTTP proxy that tunnels everything to `end`, and wants `user:pass`.
pub(crate) async fn http_proxy(log: Log, end: SocketAddr) -> SocketAddr {
    listen(move |stream| http_proxy_on(stream, log.clone(), end)).await
}

pub(crate) async fn http_proxy_on(mut stream: impl AsyncRead + AsyncWrite + Unpin, log: Log, end: SocketAddr) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    let head = String::from_utf8(head).expect("ASCII");
    log.push(head.lines().next().unwrap_or_default());
    let admitted = head.contains("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n");
    let answer = if admitted { "HTTP/1.1 200 OK\r\n\r\n" } else { "HTTP/1.1 407 No\r\n\r\n" };
    stream.write_all(answer.as_bytes()).await.expect("a write");
    stream.flush().await.expect("a flush");
    if admitted {
        let mut onward = TcpStream::connect(end).await.expect("the end of the tunnel");
        drop(copy_bidirectional(&mut stream, &mut onward).await);
    }
}

/// A SOCKS5 proxy (RFC 1928, RFC 1929) that tunnels everything to `end`, and wants `user` and
/// `pass`. It reaches no IPv6 address.
pub(crate) async fn socks_proxy(log: Log, end: SocketAddr) -> SocketAddr {
    listen(move |stream| {
        let log = log.clone();
        async move { drop(socks_proxy_on(stream, log, end).await) }
    })
    .await
}

async fn socks_proxy_on(mut stream: TcpStream, log: Log, end: SocketAddr) -> std::io::Result<()> {
    let [version, count] = [stream.read_u8().await?, stream.read_u8().await?];
    assert_eq!(version, 5);
    let methods = bytes(&mut stream, count.into()).await?;
    if !methods.contains(&2) {
        return stream.write_all(&[5, 0xff]).await;
    }
    stream.write_all(&[5, 2]).await?;
    assert_eq!(stream.read_u8().await?, 1);
    let user = counted(&mut stream).await?;
    let password = counted(&mut stream).await?;
    if (user.as_str(), password.as_str()) != ("user", "pass") {
        return stream.write_all(&[1, 1]).await;
    }
    stream.write_all(&[1, 0]).await?;

    assert_eq!(bytes(&mut stream, 3).await?, [5, 1, 0]);
    let (place, reply) = match stream.read_u8().await? {
        1 => (format!("v4 {:?}", bytes(&mut stream, 4).await?), 0),
        3 => (format!("name {}", counted(&mut stream).await?), 0),
        4 => (format!("v6 {:?}", &bytes(&mut stream, 16).await?[..2]), 3),
        other => panic!("address type {other}"),
    };
    log.push(format!("{place} {}", stream.read_u16().await?));
    stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    if reply == 0 {
        let mut onward = TcpStream::connect(end).await?;
        copy_bidirectional(&mut stream, &mut onward).await?;
    }
    Ok(())
}

async fn bytes(stream: &mut TcpStream, count: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn counted(stream: &mut TcpStream) -> std::io::Result<String> {
    let count = stream.read_u8().await?;
    Ok(String::from_utf8_lossy(&bytes(stream, count.into()).await?).into_owned())
}
