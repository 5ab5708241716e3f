//! The server's part: takes what is asked for, and answers as the case says. HTTP/1.1, one request on each connection.

use std::io;

use netcomm_core::Env;
use netcomm_tests::{ScriptedDialer, TokioClock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// As large as a request may be.
const MOST_BYTES: usize = 64 * 1024;

trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// Where requests come in.
pub(crate) struct Server {
    url: String,
    incoming: mpsc::UnboundedReceiver<Box<dyn Wire>>,
}

/// A request that came.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) target: String,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    pub(crate) body: String,
}

/// The connection that it came on.
pub(crate) struct Peer {
    wire: Box<dyn Wire>,
}

impl Server {
    /// On a socket of this machine, with the environment for its client.
    pub(crate) async fn loopback() -> io::Result<(Self, Env)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (taken, incoming) = mpsc::unbounded_channel();
        // It ends with the runtime of its case.
        drop(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let is_alone =
                    stream.set_nodelay(true).is_err() || taken.send(Box::new(stream) as Box<dyn Wire>).is_err();
                if is_alone {
                    return;
                }
            }
        }));
        Ok((Self { url, incoming }, netcomm_dial::env()))
    }

    /// In memory, on the time of the runtime: where time stands still until nothing else is left to do, a socket would be
    /// nothing that is waited for.
    pub(crate) fn in_memory() -> (Self, Env) {
        let (taken, incoming) = mpsc::unbounded_channel();
        let dialer = ScriptedDialer::new();
        dialer.serve_all(move |stream| {
            let taken = taken.clone();
            async move {
                // Nobody takes it: it is closed.
                let _gone = taken.send(Box::new(stream) as Box<dyn Wire>);
            }
        });
        (Self { url: "http://source.test".to_owned(), incoming }, Env::new(dialer, TokioClock::new()))
    }

    /// Without a path.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next request.
    pub(crate) async fn asked(&mut self) -> io::Result<(Asked, Peer)> {
        loop {
            let wire = self.incoming.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            let mut peer = Peer { wire };
            // One that was made for nothing is passed over.
            if let Some(asked) = peer.read().await? {
                return Ok((asked, peer));
            }
        }
    }

    /// Whether somebody came who was not waited for.
    pub(crate) fn has_more(&mut self) -> bool {
        self.incoming.try_recv().is_ok()
    }
}

impl Asked {
    /// The value of a header field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
        let fields = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Self { method, target, fields, body: String::new() })
    }
}

impl Peer {
    /// A request with its body, `None` if the connection ends before there is one.
    async fn read(&mut self) -> io::Result<Option<Asked>> {
        let mut came = Vec::new();
        let end = loop {
            if let Some(at) = came.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at;
            }
            if came.len() > MOST_BYTES || self.wire.read_buf(&mut came).await? == 0 {
                return Ok(None);
            }
        };
        let head = String::from_utf8_lossy(&came[..end]).into_owned();
        let Some(mut asked) = Asked::parse(&head) else { return Ok(None) };
        let mut body = came.split_off(end + 4);
        let length = asked.field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        while body.len() < length {
            if self.wire.read_buf(&mut body).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        asked.body = String::from_utf8_lossy(&body).into_owned();
        Ok(Some(asked))
    }

    /// An answer without content.
    pub(crate) async fn answer(&mut self, status: u16, fields: &[(&str, String)]) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: 0\r\n");
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.write(head.as_bytes()).await
    }

    /// An event stream begins.
    pub(crate) async fn open(&mut self, content_type: &str) -> io::Result<()> {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n");
        self.write(head.as_bytes()).await
    }

    /// A chunk of it, at once.
    pub(crate) async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        self.write(&chunk).await
    }

    /// It ends.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        self.write(b"0\r\n\r\n").await
    }

    /// Waits until the client has let go of the connection.
    pub(crate) async fn gone(&mut self) {
        let mut rest = [0; 64];
        while self.wire.read(&mut rest).await.is_ok_and(|count| count > 0) {}
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes).await?;
        self.wire.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read() {
        let asked = Asked::parse("GET /x HTTP/1.1\r\nAccept: a/b\r\nHost:  h").expect("a head");
        assert_eq!((asked.method.as_str(), asked.target.as_str()), ("GET", "/x"));
        assert_eq!((asked.field("accept"), asked.field("host"), asked.field("x")), (Some("a/b"), Some("h"), None));
        assert!(Asked::parse("GET").is_none());
    }
}
