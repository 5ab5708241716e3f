//! A process that is killed: what it was told is kept takes effect, once, and in order.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use netcomm_core::{Backoff, Env};
use netcomm_http::Client;
use netcomm_http::outbox::{Outbox, OutboxEvent};
use netcomm_http::testing::{Reply, Script, ScriptedServer};

use super::Dir;

const ORDERS: u64 = 4;
/// Calls that a child keeps before it waits until all are delivered.
const CROWD: u64 = 12;

struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

async fn open(env: &Env, dir: PathBuf) -> Outbox {
    // Short waits, so that a broken connection does not hold up the story.
    let backoff = Backoff::new(Duration::from_millis(1), Duration::from_millis(4));
    Outbox::builder(env, dir).backoff(backoff).open().await.expect("opens")
}

/// Keeps calls and delivers them until it is killed, and tells of each that is kept.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of a_killed_process_loses_and_doubles_nothing"]
async fn child_that_is_killed() {
    let setting = |name: &str| std::env::var(format!("NETCOMM_OUTBOX_{name}")).ok();
    let (Some(dir), Some(seed), Some(url)) = (setting("DIR"), setting("SEED"), setting("URL")) else { return };
    let round: u64 = seed.parse().expect("a number");
    let mut random = Numbers(round);
    let say = |line: String| {
        let mut out = std::io::stdout().lock();
        // Whatever the test runner left on the line before.
        write!(out, "\n{line} ok\n").expect("told");
        out.flush().expect("told");
    };
    say("begun".to_owned());
    let env = netcomm_dial::env();
    let outbox = open(&env, dir.into()).await;
    say("opened".to_owned());
    let client = Client::builder(&env).build().expect("client");
    let _delivery = outbox.deliver(&client);
    let mut watch = outbox.watch();
    tokio::spawn(async move {
        while let Some(event) = watch.next().await {
            if let OutboxEvent::Delivered { id, .. } | OutboxEvent::Failed { id, .. } = event {
                say(format!("ended {id}"));
            }
        }
    });
    for step in 0.. {
        let order = format!("o{}", random.below(ORDERS));
        let request = client.post(&url).header("x-order", &*order).body(format!("{round} {step}"));
        let ticket = outbox.keep(request.build().expect("a request"), Some(&order)).await.expect("kept");
        say(format!("kept {order} {round} {step} {}", ticket.idempotency_key()));
        if step % CROWD == CROWD - 1 {
            outbox.drained().await;
        }
    }
}

type Call = (u64, u64);

/// What the server has seen.
#[derive(Default)]
struct Seen {
    /// Per order key: each request that came whole, and each that took effect.
    sent: BTreeMap<String, Vec<Call>>,
    effects: BTreeMap<String, Vec<Call>>,
    keys: HashMap<String, Call>,
    requests: u64,
    repeated: u64,
    random: u64,
    /// Killed as this many further requests have come, before they are answered.
    doomed: Option<(Arc<Mutex<Child>>, u64)>,
}

impl Seen {
    fn request(&mut self, order: &str, key: &str, body: &str) -> Script {
        let (round, step) = body.split_once(' ').expect("two numbers");
        let call = (round.parse().expect("a number"), step.parse().expect("a number"));
        self.requests += 1;
        let is_new = !self.keys.contains_key(key);
        let first = *self.keys.entry(key.to_owned()).or_insert(call);
        assert_eq!(first, call, "one key, one call");
        self.sent.entry(order.to_owned()).or_default().push(call);
        let mut random = Numbers(self.random ^ self.requests);
        let fate = random.below(12);
        if let Some((child, left)) = &mut self.doomed {
            match left {
                0 => child.lock().unwrap_or_else(PoisonError::into_inner).kill().expect("killed"),
                _ => *left -= 1,
            }
        }
        if fate == 0 && is_new {
            // Not carried out; the key is free again.
            self.keys.remove(key);
            return Reply::status(503).header("retry-after", "0").into();
        }
        match is_new {
            true => self.effects.entry(order.to_owned()).or_default().push(call),
            false => self.repeated += 1,
        }
        match fate {
            1 => Script::new().reset(),
            2 => Reply::status(500).into(),
            _ => Reply::status(200).into(),
        }
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_process_loses_and_doubles_nothing() {
    let rounds: u64 = std::env::var("NETCOMM_CRASHES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(200);
    let dir = Dir::new();
    let seen = Arc::new(Mutex::new(Seen { random: 77, ..Seen::default() }));
    let witness = Arc::clone(&seen);
    let server = ScriptedServer::builder()
        .handler(move |request| {
            let header = |name| request.header(name).expect("there").to_owned();
            let mut seen = witness.lock().unwrap_or_else(PoisonError::into_inner);
            seen.request(&header("x-order"), &header("idempotency-key"), &request.text())
        })
        .start()
        .await
        .expect("starts");
    let mut confirmed = BTreeSet::new();
    let mut by_server = 0;
    for round in 1..=rounds {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "outbox::kills::child_that_is_killed", "--ignored", "--nocapture", "--test-threads=1"])
            .env("NETCOMM_OUTBOX_DIR", dir.path())
            .env("NETCOMM_OUTBOX_SEED", round.to_string())
            .env("NETCOMM_OUTBOX_URL", server.url("/"))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let child = Arc::new(Mutex::new(child));
        let mut random = Numbers(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // Half of them as the child says its n-th word, half as its n-th request has come.
        let mut words = random.below(24);
        if random.below(2) == 0 {
            words = u64::MAX;
            let doomed = Some((Arc::clone(&child), random.below(10)));
            seen.lock().unwrap_or_else(PoisonError::into_inner).doomed = doomed;
            by_server += 1;
        }
        let killer = Arc::clone(&child);
        let told = tokio::task::spawn_blocking(move || {
            let mut told = Vec::new();
            // To the end: what it has said before it died counts.
            for line in lines.map_while(Result::ok) {
                let Some(word) = line.strip_suffix(" ok") else { continue };
                if let Some(kept) = word.strip_prefix("kept ") {
                    told.push(kept.split(' ').map(str::to_owned).collect::<Vec<_>>());
                }
                if words == 0 {
                    killer.lock().unwrap_or_else(PoisonError::into_inner).kill().expect("killed");
                }
                words = words.saturating_sub(1);
            }
            told
        })
        .await
        .expect("read");
        let status = child.lock().unwrap_or_else(PoisonError::into_inner).wait().expect("ended");
        assert!(!status.success() && status.code().is_none(), "round {round}: it was killed, not ended: {status}");
        for kept in told {
            let number = |at: usize| kept[at].parse::<u64>().expect("a number");
            confirmed.insert((kept[0].clone(), (number(1), number(2)), kept[3].clone()));
        }
        // What it had sent is read before the next one comes.
        server.until_open(0).await;
        seen.lock().unwrap_or_else(PoisonError::into_inner).doomed = None;
    }
    let env = netcomm_dial::env();
    let outbox = open(&env, dir.path().to_owned()).await;
    let left = outbox.len();
    assert_eq!(outbox.damage(), Default::default(), "no kill makes the file unsound");
    let delivery = outbox.deliver(&Client::builder(&env).build().expect("client"));
    outbox.drained().await;
    delivery.stop().await;
    assert!(outbox.ended().await.expect("read").is_empty());
    outbox.close().await;

    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    for (order, call, key) in &confirmed {
        assert_eq!(seen.keys.get(key), Some(call), "a call of {order} is lost");
        assert!(seen.effects[order].contains(call));
    }
    for (order, effects) in &seen.effects {
        assert!(effects.windows(2).all(|pair| pair[0] < pair[1]), "{order}: each once, in order: {effects:?}");
    }
    for (order, sent) in &seen.sent {
        assert!(sent.is_sorted(), "{order}: nothing is sent after what was kept later: {sent:?}");
    }
    let effects: usize = seen.effects.values().map(Vec::len).sum();
    assert_eq!(effects, seen.keys.len(), "one key for each");
    println!(
        "{rounds} kills ({by_server} by the server): {} calls confirmed, {effects} carried out, {} repeated, {left} left to the end",
        confirmed.len(),
        seen.repeated,
    );
    assert!(confirmed.len() as u64 > rounds && seen.repeated > 0);
}
