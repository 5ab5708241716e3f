//! A name whose first address is dead.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use netcomm::http::Client;
use netcomm::http::testing::{Reply, ScriptedServer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::scene::{Scene, Verdict, ensure, text};
use super::stage::{self, Names};

pub(super) const SCENE: Scene = Scene {
    name: "eyeballs",
    title: "A name whose first address is dead",
    origin: "listens at the second address of its name; the first one swallows every packet",
    promise: "Happy Eyeballs: the second address is tried long before the first one times out",
    play: || Box::pin(play()),
};

/// The head start of the first address.
const DELAY: Duration = Duration::from_millis(100);
/// Well below the 3 s that a connection may take.
const PROMPT: Duration = Duration::from_secs(1);
/// After that long without an answer a connection on loopback gets none.
const UNANSWERED: Duration = Duration::from_millis(50);

async fn play() -> Verdict {
    let origin = ScriptedServer::builder().route("/hello", Reply::status(200).body("hello")).start().await?;
    let port = origin.address().port();
    let dead = Dead::at((Names::DEAD, port).into()).await;
    let env = stage::env(stage::dialer().resolver(Names).attempt_delay(DELAY));
    let client = Client::builder(&env).build()?;

    let started = Instant::now();
    let response = client.get(format!("http://{}:{port}/hello", Names::HALF_DEAD)).send().await?;
    let (peer, took) = (response.peer(), started.elapsed());
    let text = text(response).await?;
    drop(dead);
    ensure(text == "hello", || format!("the answer was {text:?}"))?;
    ensure(peer.is_some_and(|peer| peer.ip() == Ipv4Addr::LOCALHOST), || format!("the peer was {peer:?}"))?;
    ensure(took < PROMPT, || format!("after {} ms", took.as_millis()))?;
    Ok(format!("connected to the second address after {} ms", took.as_millis()))
}

/// A listener whose queue is full: the system lets every further packet drop. Where the address cannot be had there is
/// nobody at all, which is dead too.
struct Dead {
    _queue: Option<(TcpListener, Vec<TcpStream>)>,
}

impl Dead {
    async fn at(address: SocketAddr) -> Self {
        let Ok(listener) = TcpSocket::new_v4().and_then(|socket| {
            socket.bind(address)?;
            socket.listen(1)
        }) else {
            return Self { _queue: None };
        };
        let mut queued = Vec::new();
        while let Ok(Ok(stream)) = tokio::time::timeout(UNANSWERED, TcpStream::connect(address)).await {
            queued.push(stream);
            if queued.len() == 16 {
                break;
            }
        }
        Self { _queue: Some((listener, queued)) }
    }
}
