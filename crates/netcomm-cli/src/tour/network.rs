//! A path that goes away under everything that uses it, and returns.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use netcomm::core::{AddressFamily, Backoff, Reach};
use netcomm::http::outbox::Outbox;
use netcomm::http::testing::{Reply, ScriptedServer};
use netcomm::http::{Client, Offline, Retry};
use netcomm::monitor::{DefaultRoute, Interface, InterfaceKind, ManualPaths, Monitor, PathState};
use netcomm::sse::EventStream;
use netcomm::ws::{AcceptOptions, Connection, Socket};
use netcomm::{Env, Error, ErrorKind, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::scene::{Broken, Scene, Verdict, ensure, text};
use super::stage::{self, Names};

pub(super) const SCENE: Scene = Scene {
    name: "network",
    title: "The network goes away, and returns",
    origin: "is behind a path that is taken away under an answer, a WebSocket and an event stream, and given back",
    promise: "calls wait, retry or are kept on disk, connections come back; nothing is tried in vain meanwhile",
    play: || Box::pin(play()),
};

const AWAY: Duration = Duration::from_millis(300);
/// By then all of them have to be back.
const PATIENCE: Duration = Duration::from_secs(3);

async fn play() -> Verdict {
    let wire = Wire::new();
    let base = stage::env(stage::dialer().resolver(Names));
    let paths = ManualPaths::new(cable());
    let monitor = Monitor::builder(&base).paths(paths.source()).path_gap(Duration::ZERO).start();
    let env = monitor.env(&base);
    reaches(&monitor, Reach::Online).await?;

    let origin = Origin::start().await?;
    let http = wire.to(origin.server.address()).await?;
    let folder = Folder::new();
    let outbox = Outbox::open(&env, folder.path()).await?;
    let millis = Duration::from_millis;
    let client = Client::builder(&env)
        .offline(Offline::WaitUpTo(2 * PATIENCE))
        .retry(Retry::default().backoff(Backoff::new(millis(10), millis(50))))
        .outbox(outbox.clone())
        .build()?;
    let delivery = outbox.deliver(&client);
    let (_socket, mut messages) =
        Connection::builder(&env, format!("ws://{}", wire.to(socket(&base).await?).await?)).open()?;
    let mut events = EventStream::builder(&env, format!("http://{http}/events")).stream()?;

    // All of them are under way.
    let slow = tokio::spawn(back(text_of(client.clone(), format!("http://{http}/slow"))));
    within("the first answer", origin.asked.notified()).await?;
    ensure(within("a message", messages.next()).await?.is_some(), || "no WebSocket".to_owned())?;
    within("an event", events.next()).await?.transpose()?;

    // The path goes, and with it what goes over it.
    paths.set(PathState::none());
    reaches(&monitor, Reach::Offline).await?;
    wire.cut();
    let waiting = tokio::spawn(back(text_of(client.clone(), format!("http://{http}/hello"))));
    let kept = client.post(format!("http://{http}/kept")).offline(Offline::Outbox).body("remember").send().await?;
    ensure(kept.queued().is_some() && outbox.len() == 1, || format!("not kept: {}", kept.status()))?;
    sleep(AWAY).await;
    ensure(!waiting.is_finished() && !slow.is_finished(), || "a call did not wait".to_owned())?;

    // It returns.
    let in_vain = wire.mend();
    let returned = Instant::now();
    paths.set(cable());
    let (waiting, slow, kept, socket, stream) = tokio::join!(
        within("the call that waited", waiting),
        within("the call that was cut", slow),
        within(
            "the call that was kept",
            back(async {
                outbox.drained().await;
                Ok(())
            })
        ),
        within("the WebSocket", back(async { messages.next().await.map(|_| ()).ok_or_else(gone) })),
        within("the event stream", back(async { events.next().await.ok_or_else(gone)?.map(|_| ()) })),
    );
    let told = [
        ("call that waited", "was not sent", waiting??),
        ("call that was cut", "was sent again", slow??),
        ("call kept on disk", "was answered 202", kept?),
        ("WebSocket", "waited", socket?),
        ("event stream", "waited", stream?),
    ];
    let mut table = String::new();
    for (name, meanwhile, at) in told {
        let took = at?.saturating_duration_since(returned).as_millis();
        write!(table, "\n             {name:<18}{meanwhile:<17}{took:>5} ms").expect("a string takes all text");
    }
    delivery.stop().await;
    outbox.close().await;

    let posted = origin.server.requests().iter().filter(|request| request.path() == "/kept").count();
    ensure(posted == 1, || format!("the kept call came {posted} times"))?;
    ensure(in_vain == 0, || format!("{in_vain} connections were tried in vain"))?;
    let away = AWAY.as_millis();
    Ok(format!(
        "away for {away} ms, and nothing was tried meanwhile; from its return to the answer or the next message:{table}"
    ))
}

/// A way out over a cable.
fn cable() -> PathState {
    PathState::none()
        .with_interface(Interface::new(2, "cable", InterfaceKind::Wired))
        .with_default(AddressFamily::V4, Some(DefaultRoute::new(2, None)))
}

/// Waits until the network reaches so far.
async fn reaches(monitor: &Monitor, reach: Reach) -> Result<(), Broken> {
    let mut states = monitor.states();
    let reached = async {
        // A state is looked at even if the monitor knew it before, and paths of its own before those of the scene.
        while let Some(state) = states.next().await {
            if state.is_ok_and(|state| state.reach == reach && state.paths.is_some()) {
                return;
            }
        }
    };
    within("a change of the network", reached).await
}

async fn within<T>(what: &str, work: impl Future<Output = T>) -> Result<T, Broken> {
    timeout(PATIENCE, work).await.map_err(|_| Broken::new(format!("{what}: not there after {PATIENCE:?}")))
}

/// When it was done.
async fn back<T>(work: impl Future<Output = Result<T>>) -> Result<Instant> {
    work.await.map(|_| Instant::now())
}

async fn text_of(client: Client, url: String) -> Result<String> {
    text(client.get(url).send().await?).await
}

fn gone() -> Error {
    Error::new(ErrorKind::Closed, "come back")
}

/// An origin that would take for ever with the first answer to `/slow`.
struct Origin {
    server: ScriptedServer,
    /// Told when it is asked for that.
    asked: Arc<Notify>,
}

impl Origin {
    async fn start() -> Result<Self> {
        let asked = Arc::new(Notify::new());
        let (heard, times) = (Arc::clone(&asked), AtomicU64::new(0));
        let server = ScriptedServer::builder()
            .handler(move |request| match request.path() {
                "/slow" if times.fetch_add(1, Ordering::Relaxed) == 0 => {
                    heard.notify_one();
                    Reply::status(200).delayed(10 * PATIENCE)
                }
                // It goes on for as long as the wire does.
                "/events" => Reply::status(200)
                    .header("content-type", "text/event-stream")
                    .header("content-length", "1000")
                    .body("data: hello\n\n")
                    .then_stall(),
                _ => Reply::status(200).body("hello"),
            })
            .start()
            .await?;
        Ok(Self { server, asked })
    }
}

/// A server of WebSockets that greets.
async fn socket(env: &Env) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(io)?;
    let (address, options) = (listener.local_addr().map_err(io)?, AcceptOptions::new(env));
    drop(tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let options = options.clone();
            drop(tokio::spawn(async move {
                let mut socket = Socket::accept(stream, &options).await?;
                socket.send("hello").await?;
                while socket.recv().await?.is_some() {}
                Ok::<_, Error>(())
            }));
        }
    }));
    Ok(address)
}

/// What lies between client and origins, and can be cut.
struct Wire {
    is_whole: watch::Sender<bool>,
    /// Connections that came while it was cut.
    in_vain: Arc<AtomicU64>,
}

impl Wire {
    fn new() -> Self {
        Self { is_whole: watch::Sender::new(true), in_vain: Arc::default() }
    }

    /// Leads to that server; gives host and port at its near end.
    async fn to(&self, server: SocketAddr) -> Result<String> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(io)?;
        let port = listener.local_addr().map_err(io)?.port();
        let (whole, in_vain) = (self.is_whole.subscribe(), Arc::clone(&self.in_vain));
        drop(tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut whole = whole.clone();
                if !*whole.borrow_and_update() {
                    in_vain.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                drop(tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await?;
                    tokio::select! {
                        ended = copy_bidirectional(&mut near, &mut far) => ended.map(|_| ()),
                        _ = whole.wait_for(|whole| !whole) => Ok(()),
                    }
                }));
            }
        }));
        Ok(format!("{}:{port}", Names::HERE))
    }

    fn cut(&self) {
        self.is_whole.send_replace(false);
    }

    /// Gives how many connections were tried in vain.
    fn mend(&self) -> u64 {
        self.is_whole.send_replace(true);
        self.in_vain.load(Ordering::Relaxed)
    }
}

fn io(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "listen").with_source(error)
}

/// A folder of the scene's own, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("netcomm-tour-{}", std::process::id())))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
