//! Calls that wait on disk until the network lets them through.

mod bounds;
mod calling;
mod damage;
mod delivering;
mod keeping;
mod kills;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use netcomm_core::{Env, Reach};
use netcomm_http::outbox::{KeptId, Outbox, OutboxBuilder, OutboxEvent, Ticket, Watch};
use netcomm_http::testing::{Reply, ScriptedServer, ScriptedServerBuilder};
use netcomm_http::{Client, Request};
use netcomm_tests::{ManualClock, ManualConnectivity, ScriptedDialer};

/// A directory of its own for a test, gone with it.
struct Dir {
    path: PathBuf,
}

impl Dir {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("netcomm-outbox-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { path: std::env::temp_dir().join(name) }
    }

    fn path(&self) -> &Path {
        &self.path
    }

    /// Whether any file in it holds those bytes.
    fn holds(&self, bytes: &[u8]) -> bool {
        let files = std::fs::read_dir(&self.path).expect("there");
        files
            .map(|file| std::fs::read(file.expect("there").path()).expect("readable"))
            .any(|content| content.windows(bytes.len()).any(|window| window == bytes))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.path));
    }
}

/// A server, a network and a clock that a test sets, and a directory. Nothing moves the clock but the test: the outbox's
/// thread works in real time.
struct House {
    dir: Dir,
    clock: ManualClock,
    network: ManualConnectivity,
    dialer: ScriptedDialer,
    server: ScriptedServer,
    env: Env,
}

/// Without network at first.
fn house(server: ScriptedServerBuilder) -> House {
    let server = server.offline();
    let dialer = ScriptedDialer::new();
    let far = server.clone();
    dialer.serve_all(move |stream| far.serve(stream));
    let (clock, network) = (ManualClock::new(), ManualConnectivity::offline());
    let env = Env::new(dialer.clone(), clock.clone()).with_connectivity(network.shared());
    House { dir: Dir::new(), clock, network, dialer, server, env }
}

/// Everything is answered with 200.
fn friendly() -> House {
    house(ScriptedServer::builder().handler(|_| Reply::status(200).body("ok")))
}

impl House {
    fn builder(&self) -> OutboxBuilder {
        Outbox::builder(&self.env, self.dir.path())
    }

    async fn open(&self) -> Outbox {
        self.builder().open().await.expect("opens")
    }

    fn client(&self) -> Client {
        Client::builder(&self.env).build().expect("client")
    }

    fn post(&self, url: &str, body: &'static str) -> Request {
        self.client().post(url).body(body).build().expect("a request")
    }

    fn go_online(&self) {
        assert_eq!(self.env.connectivity().current().reach, Reach::Offline);
        self.network.set_reach(Reach::Online);
    }

    /// The bodies that were received, in that order.
    fn bodies(&self) -> Vec<String> {
        self.server.requests().iter().map(|request| request.text()).collect()
    }
}

/// Keeps calls to `http://a.example/` under these order keys.
async fn keep_all(house: &House, outbox: &Outbox, calls: &[(&str, &'static str)]) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    for (order, body) in calls {
        let request = house.post("http://a.example/", body);
        tickets.push(outbox.keep(request, Some(order)).await.expect("kept"));
    }
    tickets
}

/// The next events that are neither `Kept` nor `Sending`, in short.
async fn outcomes(watch: &mut Watch, count: usize) -> Vec<(KeptId, String)> {
    let mut outcomes = Vec::new();
    while outcomes.len() < count {
        outcomes.push(match watch.next().await.expect("open") {
            OutboxEvent::Kept { .. } | OutboxEvent::Sending { .. } => continue,
            OutboxEvent::Delivered { id, answer } => (id, format!("delivered {}", answer.status.as_u16())),
            OutboxEvent::Refused { id, failure, .. } => {
                (id, format!("refused {}", failure.status.map_or(0, |status| status.as_u16())))
            }
            OutboxEvent::Failed { id, failure, .. } => {
                (id, format!("failed {}", failure.status.map_or(0, |status| status.as_u16())))
            }
            OutboxEvent::Expired { id } => (id, "expired".to_owned()),
            OutboxEvent::Canceled { id, maybe_sent } => (id, format!("canceled {maybe_sent}")),
            OutboxEvent::Damaged { id } => (id, "damaged".to_owned()),
            other => panic!("{other:?}"),
        });
    }
    outcomes
}
