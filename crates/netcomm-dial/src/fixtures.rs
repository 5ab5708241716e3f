//! A resolver and a network that follow a script, for tests on paused time.

use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netcomm_core::{Clock, Error, ErrorKind, Result};
use tokio::io::DuplexStream;

use crate::clock::SystemClock;
use crate::race::Connect;
use crate::resolve::{Answer, Resolve};

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

pub(crate) fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| ip(text)).collect()
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

type Script = dyn Fn(&str, usize) -> Result<Answer> + Send + Sync;

/// Answers by script: a function of the name and of how many lookups went before.
#[derive(Clone)]
pub(crate) struct Names {
    script: Arc<Script>,
    delay: Duration,
    begun: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Names {
    pub(crate) fn new(script: impl Fn(&str, usize) -> Result<Answer> + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), delay: Duration::ZERO, begun: Arc::default(), ended: Arc::default() }
    }

    /// The same addresses for every name.
    pub(crate) fn all(addresses: &[&str]) -> Self {
        let addresses = ips(addresses);
        Self::new(move |_, _| Ok(addresses.clone().into()))
    }

    pub(crate) fn none() -> Self {
        Self::new(|_, _| Err(Error::new(ErrorKind::Dns, "script")))
    }

    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How many lookups were begun.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }

    /// How many lookups came to their end.
    pub(crate) fn ended(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }
}

impl Resolve for Names {
    async fn resolve(&self, name: &str) -> Result<Answer> {
        let before = self.begun.fetch_add(1, Ordering::SeqCst);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        self.ended.fetch_add(1, Ordering::SeqCst);
        (self.script)(name, before)
    }
}

/// What becomes of a connection attempt.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    /// It stands after that time.
    Opens(Duration),
    /// It is refused after that time.
    Refused(Duration),
    /// Nobody ever answers.
    Silence,
}

type Fates = dyn Fn(SocketAddr) -> Fate + Send + Sync;
type Serve = dyn Fn(SocketAddr, DuplexStream) + Send + Sync;

/// A network by script, which writes down what was dialled, and when.
#[derive(Clone)]
pub(crate) struct Net {
    fates: Arc<Fates>,
    serve: Arc<Serve>,
    began: std::time::Instant,
    log: Arc<Mutex<Vec<(String, Duration)>>>,
}

impl Net {
    pub(crate) fn new(fates: impl Fn(SocketAddr) -> Fate + Send + Sync + 'static) -> Self {
        let kept = Mutex::new(Vec::new());
        let serve = move |_, stream| kept.lock().expect("no panic").push(stream);
        Self { fates: Arc::new(fates), serve: Arc::new(serve), began: SystemClock.now(), log: Arc::default() }
    }

    /// Everything opens at once.
    pub(crate) fn open() -> Self {
        Self::new(|_| Fate::Opens(Duration::ZERO))
    }

    /// The same with somebody at the other end.
    pub(crate) fn serving(mut self, serve: impl Fn(SocketAddr, DuplexStream) + Send + Sync + 'static) -> Self {
        self.serve = Arc::new(serve);
        self
    }

    /// What was dialled, and after how many milliseconds.
    pub(crate) fn log(&self) -> Vec<(String, u128)> {
        let log = self.log.lock().expect("no panic");
        log.iter().map(|(address, after)| (address.clone(), after.as_millis())).collect()
    }

    /// What was dialled.
    pub(crate) fn dialled(&self) -> Vec<String> {
        self.log().into_iter().map(|(address, _)| address).collect()
    }
}

impl Connect for Net {
    type Stream = DuplexStream;

    async fn connect(&self, address: SocketAddr) -> io::Result<DuplexStream> {
        self.log.lock().expect("no panic").push((address.to_string(), SystemClock.now() - self.began));
        match (self.fates)(address) {
            Fate::Opens(after) => {
                tokio::time::sleep(after).await;
                let (ours, theirs) = tokio::io::duplex(64 * 1024);
                (self.serve)(address, theirs);
                Ok(ours)
            }
            Fate::Refused(after) => {
                tokio::time::sleep(after).await;
                Err(io::ErrorKind::ConnectionRefused.into())
            }
            Fate::Silence => pending().await,
        }
    }

    fn local(_: &DuplexStream) -> Option<SocketAddr> {
        None
    }
}
