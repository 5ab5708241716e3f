//! The measured process's part. Generic over the peer, so that no call is boxed on its way to it: what is counted is
//! the peer's own.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use super::job::{Filled, Job, Task};
use super::server::{BYTES_PATH, JSON_PATH, answered, length_on_the_wire};
use crate::error::{Result, fail};
use crate::serving::JSON_BYTES;
use crate::{child, counting};

/// A client with its cache under test. Each of its calls is written the way its own documentation would.
pub(super) trait Peer: Clone + Send + Sync + 'static {
    /// What it takes as an address without parsing it at each call.
    type Address: Clone + Send + Sync + 'static;

    /// Its name in the lines.
    const NAME: &'static str;

    /// Whether it has a cache at all.
    const STORES: bool = true;

    /// A client. The folder is there for what it keeps on disk.
    fn new(folder: &Path) -> Result<Self>;

    fn address(text: &str) -> Result<Self::Address>;

    /// A GET; the length of the body, read as one piece.
    fn get(&self, address: &Self::Address) -> impl Future<Output = Result<usize>> + Send;

    /// What the cache says it holds, overhead included; `None` if it does not say.
    fn stated_bytes(&self) -> impl Future<Output = Option<u64>> + Send {
        std::future::ready(None)
    }
}

/// How often a response may come from the server before it comes from the cache: what is stored in the background may
/// take a moment.
const PATIENCE: usize = 400;
/// Requests under way at a time while a cache is filled.
const FILLERS: usize = 64;
/// Entries asked for again once a cache is full.
const SAMPLE: usize = 1000;

/// Does the job and prints its answer.
pub(super) fn work<P: Peer>(job: &Job) -> Result<()> {
    let folder = Folder::new()?;
    let threads = if let Task::Turn { threads, .. } = job.task { threads } else { 0 };
    let runtime = match threads {
        0 => tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        threads => tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()?,
    };
    // Some clients spawn a task when they are made.
    let peer = {
        let _entered = runtime.enter();
        P::new(&folder.path)?
    };
    let worker = Worker { runtime: &runtime, peer, server: job.server };
    let answer = match &job.task {
        Task::Hits { path, count } => serde_json::to_string(&worker.hits(path, *count)?)?,
        Task::Turn { path, threads, millis } => {
            serde_json::to_string(&worker.turn(path, *threads, Duration::from_millis(*millis))?)?
        }
        Task::Misses { count, prepared } => serde_json::to_string(&worker.misses(*count, *prepared)?)?,
        Task::Fill { entries } => serde_json::to_string(&worker.fill(*entries)?)?,
    };
    println!("{answer}");
    Ok(())
}

struct Worker<'a, P: Peer> {
    runtime: &'a Runtime,
    peer: P,
    server: SocketAddr,
}

impl<P: Peer> Worker<'_, P> {
    fn hits(&self, path: &str, count: usize) -> Result<counting::Asked> {
        let target = self.settled(path)?;
        let before = answered(self.server)?;
        let (result, asked) = counting::count(|| {
            self.runtime.block_on(async {
                for _ in 0..count {
                    target.get(&self.peer).await?;
                }
                Result::Ok(())
            })
        });
        result?;
        self.expect_more_by(before, 0)?;
        Ok(asked)
    }

    fn turn(&self, path: &str, threads: usize, turn: Duration) -> Result<f64> {
        let target = self.settled(path)?;
        let before = answered(self.server)?;
        // What is made in the first hits is no hit's cost.
        self.hits_for(&target, threads, turn / 4)?;
        let start = Instant::now();
        let hits = self.hits_for(&target, threads, turn)?;
        let per_second = hits as f64 / start.elapsed().as_secs_f64();
        self.expect_more_by(before, 0)?;
        Ok(per_second)
    }

    fn misses(&self, count: usize, prepared: usize) -> Result<()> {
        // So that the connection stands.
        self.settled(JSON_PATH)?;
        let targets: Vec<_> = (0..prepared).map(|at| self.json(at)).collect::<Result<_>>()?;
        let before = answered(self.server)?;
        self.runtime.block_on(async {
            for target in &targets[..count.min(prepared)] {
                target.get(&self.peer).await?;
            }
            Result::Ok(())
        })?;
        self.expect_more_by(before, count as u64)
    }

    fn fill(&self, entries: usize) -> Result<Filled> {
        self.ask(SAMPLE, 1, "warm-up/")?;
        let per_answer = length_on_the_wire(self.server, JSON_PATH)?;
        let addresses: usize = (0..entries).map(|at| self.url(&entry_path("", at)).len()).sum();
        let stated = self.runtime.block_on(self.peer.stated_bytes());
        let (resident, heap) = (child::resident_kib(), counting::live_bytes());
        let before = answered(self.server)?;

        self.ask(entries, 1, "")?;

        self.expect_more_by(before, entries as u64)?;
        let (resident_after, heap_after) = (child::resident_kib(), counting::live_bytes());
        let stated_after = self.runtime.block_on(self.peer.stated_bytes());
        let before = answered(self.server)?;
        self.ask(entries, (entries / SAMPLE).max(1), "")?;
        Ok(Filled {
            resident_kib: resident.zip(resident_after).map(|(before, after)| after.saturating_sub(before)),
            heap_bytes: heap_after.saturating_sub(heap) as u64,
            payload_bytes: (per_answer * entries + addresses) as u64,
            stated_bytes: stated.zip(stated_after).map(|(before, after)| after.saturating_sub(before)),
            forgotten: answered(self.server)?.saturating_sub(before),
        })
    }

    /// A GET of every so many'th of the entries, many at a time.
    fn ask(&self, entries: usize, step: usize, name: &'static str) -> Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        self.runtime.block_on(async {
            let fillers: Vec<_> = (0..FILLERS)
                .map(|_| {
                    let (peer, next, server) = (self.peer.clone(), next.clone(), self.server);
                    tokio::spawn(async move {
                        loop {
                            let at = next.fetch_add(step, Ordering::Relaxed);
                            if at >= entries {
                                return Result::Ok(());
                            }
                            Target::<P>::new(server, &entry_path(name, at))?.get(&peer).await?;
                        }
                    })
                })
                .collect();
            for filler in fillers {
                filler.await??;
            }
            Ok(())
        })
    }

    fn json(&self, at: usize) -> Result<Target<P>> {
        Target::new(self.server, &entry_path("", at))
    }

    fn url(&self, path: &str) -> String {
        url(self.server, path)
    }

    /// The target of that path, stored if the peer stores it.
    fn settled(&self, path: &str) -> Result<Target<P>> {
        let target = Target::new(self.server, path)?;
        for _ in 0..if P::STORES { PATIENCE } else { 1 } {
            let before = answered(self.server)?;
            self.runtime.block_on(target.get(&self.peer))?;
            if !P::STORES || answered(self.server)? == before {
                return Ok(target);
            }
            self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(5)).await });
        }
        fail(format!("{} does not store {path}", P::NAME))
    }

    /// As many tasks as threads, each with one hit after the other: how many there were.
    fn hits_for(&self, target: &Target<P>, threads: usize, turn: Duration) -> Result<u64> {
        self.runtime.block_on(async {
            let end = Instant::now() + turn;
            let tasks: Vec<_> = (0..threads)
                .map(|_| {
                    let (peer, target) = (self.peer.clone(), target.clone());
                    tokio::spawn(async move {
                        let mut hits = 0;
                        while Instant::now() < end {
                            target.get(&peer).await?;
                            hits += 1;
                        }
                        Result::Ok(hits)
                    })
                })
                .collect();
            let mut total = 0;
            for task in tasks {
                total += task.await??;
            }
            Ok(total)
        })
    }

    fn expect_more_by(&self, before: u64, more: u64) -> Result<()> {
        let came = answered(self.server)?.saturating_sub(before);
        if came == more {
            return Ok(());
        }
        fail(format!("{} asked the server {came} times instead of {more}", P::NAME))
    }
}

/// What is asked for, and how long its body must be.
struct Target<P: Peer> {
    address: P::Address,
    length: usize,
}

impl<P: Peer> Target<P> {
    fn new(server: SocketAddr, path: &str) -> Result<Self> {
        let length = path.strip_prefix(BYTES_PATH).map_or(Ok(JSON_BYTES), str::parse)?;
        Ok(Self { address: P::address(&url(server, path))?, length })
    }

    async fn get(&self, peer: &P) -> Result<()> {
        let length = peer.get(&self.address).await?;
        if length == self.length {
            Ok(())
        } else {
            fail(format!("a body of {length} bytes instead of {}", self.length))
        }
    }
}

impl<P: Peer> Clone for Target<P> {
    fn clone(&self) -> Self {
        Self { address: self.address.clone(), length: self.length }
    }
}

fn entry_path(name: &str, at: usize) -> String {
    format!("{JSON_PATH}/{name}{at}")
}

fn url(server: SocketAddr, path: &str) -> String {
    format!("http://{server}{path}")
}

/// A folder for what is kept on disk, removed at the end.
struct Folder {
    path: std::path::PathBuf,
}

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("netcomm-bench-cache-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.path).ok();
    }
}
