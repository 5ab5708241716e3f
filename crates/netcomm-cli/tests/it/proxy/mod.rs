//! `netcomm proxy` between raw sockets: what it passes on, what it refuses, and how it ends.

mod bad_answers;
mod bad_requests;
mod ends;
mod keeping;
mod passing;
mod sharing;
mod streaming;
mod talking;
mod trying;

use std::net::SocketAddr;

use netcomm::http::testing::ScriptedServer;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::stage::{LIMIT, command};

/// A proxy that runs.
struct Proxy {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Proxy {
    /// Starts one with these words behind the usual ones.
    async fn start(line: &str) -> Self {
        let words = "proxy --listen 127.0.0.1:0 --no-proxy --name me".split_whitespace();
        let mut child = command(words.chain(line.split_whitespace())).spawn().expect("a process");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let mut first = String::new();
        timeout(LIMIT, stdout.read_line(&mut first)).await.expect("a line").expect("text");
        let address = first.trim_end().strip_prefix("http://").and_then(|address| address.parse().ok());
        Self { child, stdout, address: address.unwrap_or_else(|| panic!("no address in {first:?}")) }
    }

    /// Starts one before that server.
    async fn before(server: &ScriptedServer) -> Self {
        Self::start(&format!("--to {}", server.url(""))).await
    }

    async fn connect(&self) -> Talk {
        Talk::new(TcpStream::connect(self.address).await.expect("a connection"))
    }

    /// Sends a request over a connection of its own, and reads the answer.
    async fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut talk = self.connect().await;
        talk.say(request).await;
        talk.answer().await
    }

    /// Tells it to end, and waits until it has.
    #[cfg(unix)]
    async fn terminate(mut self) {
        let id = self.child.id().expect("it runs").to_string();
        let kill = std::process::Command::new("kill").args(["-TERM", &id]).status();
        assert!(kill.expect("kill").success());
        let status = timeout(LIMIT, self.child.wait()).await.expect("an end").expect("a process");
        assert_eq!(status.code(), Some(0));
    }

    /// What the proxy wrote to stderr, once it was ended.
    async fn told(mut self) -> String {
        let mut stderr = self.child.stderr.take().expect("stderr");
        self.child.start_kill().expect("a process");
        let mut text = String::new();
        timeout(LIMIT, stderr.read_to_string(&mut text)).await.expect("an end").expect("text");
        text
    }
}

/// A connection on which both sides are written by hand.
struct Talk {
    stream: BufReader<TcpStream>,
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: Vec<u8>,
    /// The content, taken out of its frame.
    body: Vec<u8>,
    trailers: String,
    /// Whether the content came to its end.
    complete: bool,
}

impl Talk {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).expect("a socket");
        Self { stream: BufReader::new(stream) }
    }

    async fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let write = self.stream.get_mut().write_all(bytes.as_ref());
        timeout(LIMIT, write).await.expect("room").expect("a connection");
    }

    /// Writes as much as the other side takes.
    async fn try_say(&mut self, bytes: impl AsRef<[u8]>) {
        drop(timeout(LIMIT, self.stream.get_mut().write_all(bytes.as_ref())).await.expect("room"));
    }

    /// The next bytes, exactly so many.
    async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        timeout(LIMIT, self.stream.read_exact(&mut bytes)).await.expect("bytes").expect("bytes");
        bytes
    }

    /// A head, up to its empty line; what there is of it, if the connection ends.
    async fn head(&mut self) -> Vec<u8> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match timeout(LIMIT, self.stream.read_until(b'\n', &mut head)).await.expect("a line") {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        head
    }

    /// Everything to the end; `Err` if the connection was reset.
    async fn rest(&mut self) -> Result<Vec<u8>, Vec<u8>> {
        let mut bytes = Vec::new();
        match timeout(LIMIT, self.stream.read_to_end(&mut bytes)).await.expect("an end") {
            Ok(_) => Ok(bytes),
            Err(_) => Err(bytes),
        }
    }

    /// One answer to a request that was no HEAD.
    async fn answer(&mut self) -> Answer {
        let mut answer = self.answer_without_content().await;
        if let Some(length) = answer.field("content-length") {
            let length: u64 = length.parse().expect("a length");
            let mut content = (&mut self.stream).take(length);
            drop(timeout(LIMIT, content.read_to_end(&mut answer.body)).await.expect("content"));
            answer.complete = answer.body.len() as u64 == length;
        } else if answer.field("transfer-encoding").is_some() {
            answer.complete = self.chunks(&mut answer).await.is_some();
        } else if !matches!(answer.status, 0 | 204 | 304) {
            let (body, complete) = match self.rest().await {
                Ok(body) => (body, true),
                Err(body) => (body, false),
            };
            (answer.body, answer.complete) = (body, complete);
        }
        answer
    }

    /// The head of an answer that has no content, whatever it says.
    async fn answer_without_content(&mut self) -> Answer {
        let head = self.head().await;
        let status = head.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let complete = head.ends_with(b"\r\n\r\n");
        Answer { status: status.unwrap_or(0), head, body: Vec::new(), trailers: String::new(), complete }
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        timeout(LIMIT, self.stream.read_line(&mut line)).await.expect("a line").ok()?;
        line.strip_suffix("\r\n").map(str::to_owned)
    }

    async fn chunks(&mut self, answer: &mut Answer) -> Option<()> {
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).ok()?;
            if size == 0 {
                break;
            }
            let mut chunk = vec![0; size];
            timeout(LIMIT, self.stream.read_exact(&mut chunk)).await.expect("a chunk").ok()?;
            answer.body.extend_from_slice(&chunk);
            self.line().await?;
        }
        loop {
            match self.line().await? {
                line if line.is_empty() => return Some(()),
                line => answer.trailers += &format!("{line}\n"),
            }
        }
    }

    /// Whether nothing follows but the end.
    async fn has_ended(&mut self) -> bool {
        matches!(self.rest().await, Ok(rest) | Err(rest) if rest.is_empty())
    }
}

impl Answer {
    fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.head).lines().map(str::to_owned).collect()
    }

    /// All values of a field, as they came.
    fn fields(&self, name: &str) -> Vec<String> {
        let lines = self.lines().into_iter();
        lines
            .filter_map(|line| {
                let (own, value) = line.split_once(": ")?;
                own.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
            .collect()
    }

    fn field(&self, name: &str) -> Option<String> {
        self.fields(name).into_iter().next()
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}

/// A `GET` of that target.
fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: outer.example\r\n\r\n")
}
