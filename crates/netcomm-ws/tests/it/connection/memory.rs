//! What a connection costs while nothing happens.

use std::future::Future;

use allocation_counter::measure;
use netcomm_core::{Dial, Env, Io, Result, Target};
use netcomm_tests::{ScriptedDialer, TokioClock};
use netcomm_ws::{Connection, Delivery, State, Subscription};
use tokio::io::DuplexStream;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::stage::{URL, accept, echo, ends, until};

const CONNECTIONS: u64 = 100;
/// The heap of one, its subscription and its half of the wire included; what is on the stack of its task is there as well.
const BYTES: u64 = 8 * 1024;

/// Hands the far ends to whoever serves them, and remembers nothing.
#[derive(Debug)]
struct Wires(UnboundedSender<DuplexStream>);

impl Dial for Wires {
    async fn dial(&self, _target: &Target) -> Result<Io> {
        let (near, far) = tokio::io::duplex(4096);
        self.0.send(far).expect("it serves");
        Ok(Io::new(near, netcomm_core::ConnectInfo::default()))
    }
}

/// An environment, and who is to serve its servers.
fn env() -> (Env, impl Future<Output = ()> + Send) {
    let (wires, mut far) = unbounded_channel();
    let env = Env::new(Wires(wires), TokioClock::new());
    let serve = async move {
        let env = Env::new(ScriptedDialer::new(), TokioClock::new());
        while let Some(stream) = far.recv().await {
            let env = env.clone();
            drop(tokio::spawn(async move { echo(accept(&env, stream).await).await }));
        }
    };
    (env, serve)
}

/// A connection on which 64 bytes went there and back.
async fn idle(env: &Env) -> (Connection, Subscription<Delivery>) {
    let (connection, mut messages) = Connection::builder(env, URL).open().expect("opened");
    connection.send(vec![7; 64]).await.expect("taken");
    let delivery = messages.next().await.expect("open").expect("no lag");
    assert_eq!(delivery.message.len(), 64);
    (connection, messages)
}

#[test]
fn an_idle_connection_is_small() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("built");
    let _guard = runtime.enter();
    let (env, serve) = env();
    // Servers live on a thread of their own, so that their memory is not counted.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("built").block_on(serve);
    });
    // What is there once for all.
    runtime.block_on(async { drop(idle(&env).await) });
    let mut idles = Vec::with_capacity(CONNECTIONS as usize);
    let memory = measure(|| {
        runtime.block_on(async {
            for _ in 0..CONNECTIONS {
                idles.push(idle(&env).await);
            }
            // Whatever was only needed for a moment is gone.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
        });
    });
    let each = u64::try_from(memory.bytes_current).expect("they need some") / CONNECTIONS;
    assert!(each <= BYTES, "{each}");
}

#[test]
fn coming_back_a_thousand_times_leaves_nothing_behind() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("built");
    let _guard = runtime.enter();
    let (env, serve) = env();
    drop(runtime.spawn(serve));
    let (connection, mut messages) = runtime.block_on(idle(&env));
    let mut come_back = |times: u64| {
        runtime.block_on(async {
            for _ in 0..times {
                let before = connection.snapshot().counts.connections;
                connection.renew();
                while connection.snapshot().counts.connections == before {
                    tokio::task::yield_now().await;
                }
                until(&connection, State::is_ready).await;
                connection.send("x").await.expect("taken");
                assert!(ends(messages.next()).await.is_some());
            }
        });
    };
    come_back(10);
    let memory = measure(|| come_back(1000));
    assert!(memory.bytes_current.abs() < 16 * 1024, "{}", memory.bytes_current);
}
