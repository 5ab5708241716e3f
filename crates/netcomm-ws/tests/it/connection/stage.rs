//! What the stories of returning connections have in common. Time is that of the runtime, paused: an hour costs nothing, and
//! what hangs is found out at once.

use std::future::Future;
use std::time::Duration;

use netcomm_core::{Clock as _, Env, Error, ErrorKind, Result};
use netcomm_tests::TokioClock;
use netcomm_ws::{AcceptOptions, Connection, Delivery, Greet, Greeting, Link, Resume, Socket, State, Subscription};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const URL: &str = "ws://server.test/";

/// Ends with `future`, which has an hour: far more than anything here takes that ends at all.
pub(super) async fn ends<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(3600), future).await.expect("it hangs")
}

/// Lets time pass.
pub(super) async fn pass(time: Duration) {
    let clock = TokioClock::new();
    clock.sleep_until(clock.now() + time).await;
}

/// Waits until the connection is in such a state.
pub(super) async fn until(connection: &Connection, reached: impl Fn(&State) -> bool) -> State {
    let mut states = connection.states();
    ends(async {
        loop {
            let state = states.current();
            if reached(&state) {
                return state;
            }
            states.changed().await.expect("it would come to that");
        }
    })
    .await
}

/// The texts of the next messages.
pub(super) async fn texts(messages: &mut Subscription<Delivery>, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        let delivery = ends(messages.next()).await.expect("open").expect("no lag");
        texts.push(delivery.message.as_text().expect("text").to_owned());
    }
    texts
}

/// The next message as text.
pub(super) async fn heard(socket: &mut Socket) -> String {
    let message = socket.recv().await.expect("no error").expect("open");
    message.as_text().expect("text").to_owned()
}

/// Answers everything with itself.
pub(super) async fn echo(mut socket: Socket) {
    while let Ok(Some(message)) = socket.recv().await {
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

/// Hears everything, says nothing.
pub(super) async fn listen(mut socket: Socket) {
    while let Ok(Some(_)) = socket.recv().await {}
}

/// Reads the head of a request.
pub(super) async fn head(stream: &mut DuplexStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a request"));
    }
    String::from_utf8(head).expect("text")
}

/// Answers a handshake with that, whatever it asks; gives what it asked.
pub(super) async fn answer(mut stream: DuplexStream, answer: &str) -> String {
    let head = head(&mut stream).await;
    stream.write_all(answer.as_bytes()).await.expect("sent");
    head
}

/// Shakes hands.
pub(super) async fn accept(env: &Env, stream: DuplexStream) -> Socket {
    Socket::accept(stream, &AcceptOptions::new(env)).await.expect("a handshake")
}

/// Shakes hands, and is never heard of again: for servers whose machine is gone.
pub(super) async fn accept_and_vanish(mut stream: DuplexStream) {
    let request = head(&mut stream).await;
    let key = request.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("sec-websocket-key: ")
            .map(|key| line[line.len() - key.len()..].trim().to_owned())
    });
    let accept = tungstenite::handshake::derive_accept_key(key.expect("a key").as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await.expect("sent");
    // What comes is swallowed, for the wire has room.
    while stream.read_u8().await.is_ok() {}
}

/// Greets without a word: takes so long, and then is content or not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Nod {
    pub(super) takes: Duration,
    pub(super) agrees: bool,
}

impl Greet for Nod {
    async fn greet(&self, _link: &mut Link<'_>, _resume: &Resume) -> Result<Greeting> {
        pass(self.takes).await;
        if self.agrees { Ok(Greeting::new()) } else { Err(Error::new(ErrorKind::Io, "greet")) }
    }
}
