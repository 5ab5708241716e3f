//! Name lookups that are kept for a while, and shared while they are under way.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use lru::LruCache;
use netcomm_core::{Clock, Connectivity, Error, ErrorKind, Phase, Result};

use crate::resolve::{Answer, AnyResolver};

/// The longest that any answer is kept, whatever its resolver says.
const MAX_TTL: Duration = Duration::from_secs(600);

/// How much is kept, and how long.
#[derive(Clone, Debug)]
pub(crate) struct Keep {
    /// Names; 0: nothing is kept.
    pub(crate) names: usize,
    /// Answers of resolvers that do not know better.
    pub(crate) ttl: Duration,
    /// Failures.
    pub(crate) failure_ttl: Duration,
    /// How long one lookup may take.
    pub(crate) timeout: Duration,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            names: 256,
            ttl: Duration::from_secs(30),
            failure_ttl: Duration::from_secs(1),
            timeout: Duration::from_secs(10),
        }
    }
}

/// What a lookup found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// At least one.
    pub(crate) addresses: Arc<[IpAddr]>,
    /// Whether it came from memory.
    pub(crate) cached: bool,
}

/// Finds the addresses of names: from memory, from a lookup that is under way, or by a new one.
///
/// A lookup belongs to nobody: it goes on as long as anybody waits for it, whoever began it.
/// Nothing is used that was found, or is being looked for, in another network.
pub(crate) struct Lookup {
    resolver: AnyResolver,
    clock: Arc<dyn Clock>,
    connectivity: Arc<dyn Connectivity>,
    store: Arc<Store>,
}

type Outcome = Result<Arc<[IpAddr]>, Arc<Error>>;
type Flight = Pin<Box<dyn Future<Output = Outcome> + Send>>;

struct Store {
    keep: Keep,
    state: Mutex<State>,
}

struct State {
    generation: u64,
    kept: Option<LruCache<Arc<str>, Kept>>,
    flights: HashMap<Arc<str>, (u64, WeakShared<Flight>)>,
    last_flight: u64,
}

struct Kept {
    outcome: Outcome,
    until: Instant,
}

impl Lookup {
    pub(crate) fn new(
        resolver: AnyResolver,
        clock: Arc<dyn Clock>,
        connectivity: Arc<dyn Connectivity>,
        keep: Keep,
    ) -> Self {
        let state = State {
            generation: connectivity.current().generation,
            kept: NonZeroUsize::new(keep.names).map(LruCache::sparse),
            flights: HashMap::new(),
            last_flight: 0,
        };
        Self { resolver, clock, connectivity, store: Arc::new(Store { keep, state: Mutex::new(state) }) }
    }

    /// The addresses of `name`.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the lookup to the others who wait for it, and ends it if there
    /// are none.
    pub(crate) async fn find(&self, name: &str) -> Result<Found> {
        let (outcome, cached) = match self.begin(name) {
            Ok(kept) => (kept, true),
            Err(flight) => (flight.await, false),
        };
        match outcome {
            Ok(addresses) => Ok(Found { addresses, cached }),
            Err(error) => Err(for_one(name, error)),
        }
    }

    /// What is kept, or else the lookup to wait for.
    fn begin(&self, name: &str) -> Result<Outcome, Shared<Flight>> {
        let now = self.clock.now();
        let generation = self.connectivity.current().generation;
        // No `Shared` is dropped while the lock is held: the last one to go takes the lookup along,
        // which takes the lock.
        let mut state = self.store.state();
        state.enter(generation);
        if let Some(kept) = state.kept.as_mut().and_then(|kept| kept.get(name))
            && now < kept.until
        {
            return Ok(kept.outcome.clone());
        }
        if let Some(flight) = state.flights.get(name).and_then(|(_, flight)| flight.upgrade()) {
            return Err(flight);
        }
        state.last_flight += 1;
        let id = state.last_flight;
        let name: Arc<str> = name.into();
        let flight = self.flight(Arc::clone(&name), id, generation, now).shared();
        if let Some(weak) = flight.downgrade() {
            state.flights.insert(name, (id, weak));
        }
        Err(flight)
    }

    fn flight(&self, name: Arc<str>, id: u64, generation: u64, now: Instant) -> Flight {
        let (resolver, clock) = (self.resolver.clone(), Arc::clone(&self.clock));
        let landing = Landing { store: Arc::clone(&self.store), name, id };
        let timeout = self.store.keep.timeout;
        Box::pin(async move {
            let answer = tokio::select! {
                biased;
                answer = resolver.resolve(&landing.name) => answer,
                () = clock.sleep_until(now + timeout) => Err(Error::timeout("resolve", Phase::Dns)),
            };
            landing.store.keep(&landing.name, generation, clock.now(), answer)
        })
    }
}

impl Store {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is complete before anything can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what is worth it, if the network is still the same.
    fn keep(&self, name: &Arc<str>, generation: u64, now: Instant, answer: Result<Answer>) -> Outcome {
        let (outcome, ttl) = match answer {
            Ok(answer) if answer.addresses().is_empty() => {
                let error = Error::new(ErrorKind::Dns, "resolve").with_detail("the name has no address");
                (Err(Arc::new(error)), self.keep.failure_ttl)
            }
            Ok(answer) => (Ok(answer.addresses().into()), answer.ttl().unwrap_or(self.keep.ttl)),
            Err(error) if error.kind() == ErrorKind::Dns => (Err(Arc::new(error)), self.keep.failure_ttl),
            Err(error) => (Err(Arc::new(error)), Duration::ZERO),
        };
        let mut state = self.state();
        if !ttl.is_zero()
            && state.generation == generation
            && let Some(kept) = &mut state.kept
        {
            kept.put(Arc::clone(name), Kept { outcome: outcome.clone(), until: now + ttl.min(MAX_TTL) });
        }
        outcome
    }
}

impl State {
    /// Forgets everything that another network knew.
    fn enter(&mut self, generation: u64) {
        if self.generation != generation {
            self.generation = generation;
            self.flights.clear();
            if let Some(kept) = &mut self.kept {
                kept.clear();
            }
        }
    }
}

/// Takes a lookup off the list when it has ended or nobody waits for it any more.
struct Landing {
    store: Arc<Store>,
    name: Arc<str>,
    id: u64,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut state = self.store.state();
        if state.flights.get(&self.name).is_some_and(|(id, _)| *id == self.id) {
            state.flights.remove(&self.name);
        }
    }
}

/// The error of all, as the error of one.
fn for_one(name: &str, error: Arc<Error>) -> Error {
    let one = Error::new(error.kind(), "resolve").with_detail(name.to_owned());
    match error.phase() {
        Some(phase) => one.with_phase(phase),
        None => one,
    }
    .with_source(error)
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup").field("keep", &self.store.keep).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use futures_util::future::join_all;
    use netcomm_core::{Network, NetworkChange, Reach};

    use super::*;
    use crate::clock::SystemClock;
    use crate::fixtures::{Names, ips, ms};

    #[derive(Clone, Debug, Default)]
    struct Roaming(Arc<AtomicU64>);

    impl Connectivity for Roaming {
        fn current(&self) -> Network {
            Network::new(Reach::Online).with_generation(self.0.load(Ordering::SeqCst))
        }
        fn changed(&self, _: Network) -> NetworkChange {
            Box::pin(std::future::pending())
        }
    }

    fn lookup(names: &Names, keep: Keep) -> Lookup {
        Lookup::new(AnyResolver::new(names.clone()), Arc::new(SystemClock), Arc::new(Roaming::default()), keep)
    }

    fn flights(lookup: &Lookup) -> usize {
        lookup.store.state().flights.len()
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_waiters_share_one_lookup() {
        let names = Names::all(&["192.0.2.1"]).after(ms(50));
        let lookup = lookup(&names, Keep { names: 0, ..Keep::default() });
        let found = join_all((0..100).map(|_| lookup.find("a.example"))).await;
        assert!(found.iter().all(|found| found.as_ref().is_ok_and(|found| !found.cached)));
        assert_eq!((names.begun(), flights(&lookup)), (1, 0));
        lookup.find("a.example").await.expect("addresses");
        assert_eq!(names.begun(), 2, "nothing is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_began_a_lookup_may_go() {
        let names = Names::all(&["192.0.2.1"]).after(ms(50));
        let lookup = Arc::new(lookup(&names, Keep::default()));
        let spawn = || {
            let lookup = Arc::clone(&lookup);
            tokio::spawn(async move { lookup.find("a.example").await })
        };
        let leader = spawn();
        tokio::task::yield_now().await;
        let follower = spawn();
        tokio::task::yield_now().await;
        leader.abort();
        assert!(leader.await.is_err_and(|error| error.is_cancelled()));
        assert!(follower.await.is_ok_and(|found| found.is_ok()));
        assert_eq!((names.begun(), names.ended()), (1, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_nobody_waits_for_ends() {
        let names = Names::all(&["192.0.2.1"]).after(ms(50));
        let lookup = lookup(&names, Keep::default());
        tokio::time::timeout(ms(10), lookup.find("a.example")).await.expect_err("too early");
        assert_eq!((names.begun(), names.ended(), flights(&lookup)), (1, 0, 0));
        lookup.find("a.example").await.expect("addresses");
        assert_eq!((names.begun(), names.ended(), flights(&lookup)), (2, 1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_kept_for_their_time() {
        for (ttl, until, kept) in [
            (None, ms(29_999), true),
            (None, ms(30_000), false),
            (Some(ms(5_000)), ms(4_999), true),
            (Some(ms(5_000)), ms(5_000), false),
            (Some(Duration::ZERO), ms(0), false),
            (Some(Duration::MAX), MAX_TTL - ms(1), true),
            (Some(Duration::MAX), MAX_TTL, false),
        ] {
            let names = Names::new(move |_, _| {
                let answer = Answer::new(ips(&["192.0.2.1"]));
                Ok(match ttl {
                    Some(ttl) => answer.with_ttl(ttl),
                    None => answer,
                })
            });
            let lookup = lookup(&names, Keep::default());
            assert!(!lookup.find("a.example").await.expect("addresses").cached);
            tokio::time::advance(until).await;
            assert_eq!(lookup.find("a.example").await.expect("addresses").cached, kept, "{ttl:?} {until:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn failures_are_kept_for_a_moment() {
        for names in [Names::none(), Names::all(&[])] {
            let lookup = lookup(&names, Keep::default());
            for advance in [0, 999, 1] {
                tokio::time::advance(ms(advance)).await;
                let error = lookup.find("no.example").await.expect_err("must fail");
                assert_eq!((error.kind(), error.detail()), (ErrorKind::Dns, Some("no.example")));
            }
            assert_eq!(names.begun(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_takes_only_so_long() {
        let names = Names::all(&["192.0.2.1"]).after(ms(60_000));
        let lookup = lookup(&names, Keep::default());
        let began = SystemClock.now();
        let error = lookup.find("slow.example").await.expect_err("must fail");
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Dns)));
        assert_eq!(SystemClock.now() - began, ms(10_000));
        assert_eq!(flights(&lookup), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_least_recently_used_name_goes_first() {
        let names = Names::all(&["192.0.2.1"]);
        let lookup = lookup(&names, Keep { names: 2, ..Keep::default() });
        for (name, cached) in
            [("a", false), ("b", false), ("a", true), ("c", false), ("a", true), ("b", false), ("c", false)]
        {
            assert_eq!(lookup.find(name).await.expect("addresses").cached, cached, "{name}");
        }
        assert_eq!(lookup.store.state().kept.as_ref().map(LruCache::len), Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn another_network_knows_nothing_of_the_last() {
        let names = Names::all(&["192.0.2.1"]).after(ms(50));
        let roaming = Roaming::default();
        let lookup = Lookup::new(
            AnyResolver::new(names.clone()),
            Arc::new(SystemClock),
            Arc::new(roaming.clone()),
            Keep::default(),
        );
        lookup.find("a").await.expect("addresses");
        assert!(lookup.find("a").await.expect("addresses").cached);
        roaming.0.store(1, Ordering::SeqCst);
        assert!(!lookup.find("a").await.expect("addresses").cached);

        // A lookup begun in the old network is neither joined nor kept, but whoever waits for it
        // gets its answer.
        let (old, new) = tokio::join!(lookup.find("b"), async {
            roaming.0.store(2, Ordering::SeqCst);
            tokio::time::sleep(ms(10)).await;
            lookup.find("b").await
        });
        assert!(old.is_ok() && new.is_ok());
        assert_eq!((names.begun(), flights(&lookup)), (4, 0));
    }

    /// Lets others run many times before it answers.
    struct Yielding;

    impl crate::resolve::Resolve for Yielding {
        async fn resolve(&self, _: &str) -> Result<Answer> {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
            Ok(ips(&["192.0.2.1"]).into())
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn coming_and_going_on_many_threads() {
        let keep = Keep { names: 0, ..Keep::default() };
        let (clock, network) = (Arc::new(SystemClock), Arc::new(Roaming::default()));
        let lookup = Arc::new(Lookup::new(AnyResolver::new(Yielding), clock, network, keep));
        let tasks: Vec<_> = (0..2000)
            .map(|number| {
                let lookup = Arc::clone(&lookup);
                let name = ["a", "b", "c"][number % 3];
                let task = tokio::spawn(async move { lookup.find(name).await.map(drop) });
                if number % 2 == 0 {
                    task.abort();
                }
                task
            })
            .collect();
        for task in tasks {
            match task.await {
                Ok(found) => found.expect("addresses"),
                Err(error) => assert!(error.is_cancelled()),
            }
        }
        assert_eq!(flights(&lookup), 0);
    }
}
