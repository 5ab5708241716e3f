//! A WebSocket whose server is killed and revived under a stream of messages.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use netcomm::core::Backoff;
use netcomm::ws::{
    AcceptOptions, AtLeastOnce, CloseCode, Connection, JsonDialect, Message, QueueLimits, Reconnect, Socket,
};
use netcomm::{Env, Error, ErrorKind, Result};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

use super::scene::{Broken, Scene, Verdict, ensure};
use super::stage;

pub(super) const SCENE: Scene = Scene {
    name: "comeback",
    title: "A WebSocket whose server dies five times",
    origin: "takes messages, and dies in their midst with what it had not acknowledged; revives after a while",
    promise: "the connection comes back; no message is lost, their order is kept, repetitions are marked",
    play: || Box::pin(play()),
};

const MESSAGES: u64 = 600;
/// One message follows another so fast.
const PACE: Duration = Duration::from_millis(3);
/// The server takes so many messages in each of its lives, but for the last one.
const LIVES: [usize; 5] = [80, 1, 150, 40, 100];
/// So many of them it does not acknowledge.
const FORGOTTEN: usize = 20;
const DEAD_FOR: Duration = Duration::from_millis(150);
/// The longest wait for the last acknowledgement.
const PATIENCE: Duration = Duration::from_secs(12);

async fn play() -> Verdict {
    let env = stage::env(stage::dialer());
    let server = Server::start(&env).await?;
    let quick = Reconnect::default()
        .first(Duration::from_millis(50))
        .floor(Duration::from_millis(20))
        .backoff(Backoff::new(Duration::from_millis(100), Duration::from_millis(300)));
    let (connection, _messages) = Connection::builder(&env, server.url())
        .dialect(JsonDialect)
        .at_least_once(AtLeastOnce::default())
        .queue(QueueLimits::default().with_messages(1000))
        .reconnect(quick)
        .open()?;
    for number in 0..MESSAGES {
        connection.send(Message::json(&number)?).await.map_err(Error::from)?;
        sleep(PACE).await;
    }
    let is_drained = timeout(PATIENCE, connection.drained()).await.unwrap_or(false);
    ensure(is_drained, || format!("not all acknowledged: {:?}", connection.snapshot()))?;
    let counts = connection.snapshot().counts;
    connection.close(CloseCode::NORMAL, "").await?;

    let arrived = server.arrived();
    let (first, repeated) = sort(&arrived)?;
    ensure(first == MESSAGES, || format!("{first} of {MESSAGES} messages arrived"))?;
    let deaths = LIVES.len() as u64;
    ensure(counts.connections == deaths + 1, || format!("{} connections", counts.connections))?;
    ensure(repeated > 0, || "no message had to be sent again".to_owned())?;
    Ok(format!(
        "{MESSAGES} messages, all there and in order: {} sent, {} of them again, {} arrived, {repeated} of them \
         repetitions and marked; {deaths} reconnects in {} attempts",
        counts.sent,
        counts.resent,
        arrived.len(),
        counts.attempts
    ))
}

/// How many messages came for the first time, in their order, and how many came again.
fn sort(arrived: &[Arrived]) -> Result<(u64, u64), Broken> {
    let (mut first, mut repeated) = (0, 0);
    for message in arrived {
        // By its number, and by what is in it.
        ensure(message.seq == message.data + 1, || format!("number {} holds {}", message.seq, message.data))?;
        if message.data == first {
            first += 1;
        } else if message.data > first {
            return Err(Broken::new(format!("{} came before {first}", message.data)));
        } else if message.dup {
            repeated += 1;
        } else {
            return Err(Broken::new(format!("{} came again without a mark", message.data)));
        }
    }
    Ok((first, repeated))
}

/// A message as the server gets it.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Arrived {
    seq: u64,
    #[serde(default)]
    dup: bool,
    data: u64,
}

/// A server that dies, and what it was sent in all its lives.
struct Server {
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Server {
    async fn start(env: &Env) -> Result<Self> {
        let failed = |error| Error::new(ErrorKind::Io, "listen").with_source(error);
        let mut listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let (seen, options) = (Arc::clone(&arrived), AcceptOptions::new(env));
        drop(tokio::spawn(async move {
            for life in LIVES {
                // Whatever ends it: with it go its sockets.
                drop(live(listener, &options, life, &seen).await);
                sleep(DEAD_FOR).await;
                listener = TcpListener::bind(address).await?;
            }
            live(listener, &options, usize::MAX, &seen).await.map_err(std::io::Error::other)
        }));
        Ok(Self { address, arrived })
    }

    fn url(&self) -> String {
        format!("ws://{}/", self.address)
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One life of the server: one connection, and so many messages.
async fn live(listener: TcpListener, options: &AcceptOptions, life: usize, seen: &Mutex<Vec<Arrived>>) -> Result<()> {
    let accepted = listener.accept().await;
    let (stream, _) = accepted.map_err(|error| Error::new(ErrorKind::Io, "accept").with_source(error))?;
    let mut socket = Socket::accept(stream, options).await?;
    for nth in 1..=life {
        let Some(message) = socket.recv().await? else { break };
        let message: Arrived = message.to_json()?;
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(message);
        if life == usize::MAX || nth + FORGOTTEN <= life {
            socket.send(format!(r#"{{"ack":{}}}"#, message.seq)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came(numbers: &[(u64, bool)]) -> Result<(u64, u64), String> {
        let arrived: Vec<_> = numbers.iter().map(|&(data, dup)| Arrived { seq: data + 1, dup, data }).collect();
        sort(&arrived).map_err(|broken| broken.how().to_owned())
    }

    #[test]
    fn what_came_is_judged() {
        // A mark on what comes for the first time is right: it may have been lost on its way.
        assert_eq!(came(&[(0, false), (1, false), (0, true), (1, true), (2, true), (3, false)]), Ok((4, 2)));
        assert!(came(&[(0, false), (2, false)]).is_err(), "one is missing");
        assert!(came(&[(0, false), (0, false)]).is_err(), "no mark");
        assert!(sort(&[Arrived { seq: 7, dup: false, data: 0 }]).is_err(), "another number");
    }
}
