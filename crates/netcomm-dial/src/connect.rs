//! A tunnel by HTTP CONNECT (RFC 9110 §9.3.6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use http::{HeaderValue, StatusCode};
use netcomm_core::{Error, ErrorKind, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::server::Server;

/// The most that a proxy may send before the tunnel stands, interim responses included.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The most fields that a head may have.
const MAX_FIELDS: usize = 100;

/// Asks the proxy at the other end of `stream` for a tunnel to `authority` (`host:port`).
///
/// # Cancel safety
///
/// Dropping the future drops the stream.
pub(crate) async fn tunnel<S>(mut stream: S, proxy: &Server, authority: &str) -> Result<Tunnel<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: io::Error| {
        failed(format!("{proxy} went away before the tunnel to {authority} stood")).with_source(error).with_unsent()
    };
    stream.write_all(&request(authority, proxy.authorization().as_ref())).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;

    let mut received = BytesMut::with_capacity(1024);
    let mut taken_bytes = 0;
    loop {
        match parse(&received).map_err(|detail| failed(format!("{proxy} {detail}")))? {
            Some((status, head_bytes)) => {
                received.advance(head_bytes);
                taken_bytes += head_bytes;
                if status.is_success() {
                    return Ok(Tunnel { early: received.freeze(), stream });
                }
                if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
                    return Err(refused(proxy, authority, status));
                }
            }
            None => {
                if taken_bytes + received.len() >= MAX_HEAD_BYTES {
                    return Err(failed(format!("{proxy} sent a head of more than {MAX_HEAD_BYTES} bytes")));
                }
                let most = MAX_HEAD_BYTES - taken_bytes - received.len();
                if (&mut stream).take(most as u64).read_buf(&mut received).await.map_err(broken)? == 0 {
                    return Err(broken(io::ErrorKind::UnexpectedEof.into()));
                }
            }
        }
    }
}

fn request(authority: &str, authorization: Option<&HeaderValue>) -> Vec<u8> {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(value) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// Status and length of the head at the start of `received`; `None`: it is not complete.
fn parse(received: &[u8]) -> Result<Option<(StatusCode, usize)>, &'static str> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(received) {
        // RFC 9110 §9.3.6: Content-Length and Transfer-Encoding of a successful answer mean
        // nothing.
        Ok(httparse::Status::Complete(head_bytes)) => {
            let status = response.code.and_then(|code| StatusCode::from_u16(code).ok()).ok_or("sent no status")?;
            Ok(Some((status, head_bytes)))
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(httparse::Error::TooManyHeaders) => Err("sent too many fields"),
        Err(_) => Err("does not speak http"),
    }
}

fn refused(proxy: &Server, authority: &str, status: StatusCode) -> Error {
    let words = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED if proxy.credentials.is_some() => "does not accept the credentials",
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => "asks for credentials",
        _ => "refused",
    };
    let error = failed(format!("{proxy} {words}: {} for {authority}", status.as_str())).with_status(status);
    match status {
        // The proxy is willing, the way behind it is not there, now.
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => error.with_unsent(),
        _ => error,
    }
}

fn failed(detail: String) -> Error {
    Error::new(ErrorKind::Proxy, "http connect").with_detail(detail)
}

/// A stream behind a proxy. What came with the proxy's answer is read first: the other end may
/// speak before it is asked.
#[derive(Debug)]
pub(crate) struct Tunnel<S> {
    early: Bytes,
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tunnel<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.early.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let early = this.early.split_to(this.early.len().min(buffer.remaining()));
        buffer.put_slice(&early);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tunnel<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buffer)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{DuplexStream, duplex};

    use super::*;

    fn proxy(url: &str) -> Server {
        Server::parse(url).expect("a proxy")
    }

    /// Asks for a tunnel from a proxy that answers with `chunks` and closes.
    async fn ask(url: &str, chunks: &[&[u8]]) -> Result<Tunnel<DuplexStream>> {
        let (ours, mut theirs) = duplex(64 * 1024);
        for chunk in chunks {
            theirs.write_all(chunk).await.expect("room");
        }
        let proxy = proxy(url);
        let tunnel = tunnel(ours, &proxy, "a.example:443");
        let (tunnel, _theirs) = tokio::join!(tunnel, async move {
            drop(theirs.shutdown().await);
            theirs
        });
        tunnel
    }

    #[test]
    fn what_is_sent() {
        let sent =
            |url| String::from_utf8(request("a.example:443", proxy(url).authorization().as_ref())).expect("ASCII");
        assert_eq!(sent("http://p"), "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n");
        assert_eq!(
            sent("http://Aladdin:open%20sesame@p"),
            "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\
             Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n",
        );
    }

    #[tokio::test]
    async fn what_comes_early_is_kept() {
        let answer = b"HTTP/1.1 100 Continue\r\n\r\n\
            HTTP/1.0 200 Connection established\r\nContent-Length: 3\r\n\r\n220 hello";
        let mut text = String::new();
        ask("http://p", &[answer]).await.expect("a tunnel").read_to_string(&mut text).await.expect("text");
        assert_eq!(text, "220 hello");
    }

    #[tokio::test]
    async fn any_split_of_the_answer_is_understood() {
        let answer = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 OK\r\nA: b\r\n\r\nxy";
        for cut in 1..answer.len() {
            let (ours, mut theirs) = duplex(1024);
            let proxy = proxy("http://p");
            let (tunnel, ()) = tokio::join!(tunnel(ours, &proxy, "a.example:443"), async {
                for part in [&answer[..cut], &answer[cut..]] {
                    theirs.write_all(part).await.expect("room");
                    tokio::task::yield_now().await;
                }
                theirs.shutdown().await.expect("an end");
            });
            let mut text = String::new();
            tunnel.expect("a tunnel").read_to_string(&mut text).await.expect("text");
            assert_eq!(text, "xy", "{cut}");
        }
    }

    #[tokio::test]
    async fn what_is_refused() {
        let large = [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; MAX_HEAD_BYTES]].concat();
        let interim = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
        let many = [b"HTTP/1.1 200 OK\r\n".as_slice(), &b"a: b\r\n".repeat(101), b"\r\n"].concat();
        for (url, answer, status, retryable, detail) in [
            ("http://p", b"HTTP/1.1 407 x\r\n\r\n".as_slice(), Some(407), false, "asks for credentials: 407"),
            ("http://u:hunter2@p", b"HTTP/1.1 407 x\r\n\r\n", Some(407), false, "does not accept the credentials: 407"),
            ("http://p", b"HTTP/1.1 403 x\r\n\r\n", Some(403), false, "refused: 403 for a.example:443"),
            ("http://p", b"HTTP/1.1 302 x\r\nLocation: http://b\r\n\r\n", Some(302), false, "refused: 302"),
            ("http://p", b"HTTP/1.1 502 x\r\n\r\n", Some(502), true, "refused: 502"),
            ("http://p", b"HTTP/1.1 101 x\r\n\r\n", Some(101), false, "refused: 101"),
            ("http://p", b"SSH-2.0-x\r\n", None, false, "does not speak http"),
            ("http://p", b"HTTP/1.1 200", None, true, "went away"),
            ("http://p", b"", None, true, "went away"),
            ("http://p", &large, None, false, "more than 16384 bytes"),
            ("http://p", &interim, None, false, "more than 16384 bytes"),
            ("http://p", &many, None, false, "too many fields"),
        ] {
            let error = ask(url, &[answer]).await.expect_err("must be refused");
            assert_eq!(error.kind(), ErrorKind::Proxy);
            assert_eq!(error.status().map(|status| status.as_u16()), status);
            assert_eq!(error.is_retryable(), retryable, "{error}");
            assert!(error.detail().is_some_and(|text| text.contains(detail)), "{error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
    }
}
