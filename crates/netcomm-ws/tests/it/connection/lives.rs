//! Any life of a connection ends, and all that was sent in it is accounted for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netcomm_core::{ErrorKind, Random, Result};
use netcomm_ws::{
    AtLeastOnce, CloseCode, Connection, Dropped, Listening, Outbound, Overflow, Priority, QueueLimits, Receipt, Slow,
    Socket, Status,
};
use proptest::collection::vec;
use proptest::prelude::*;

use super::delivery::Bars;
use super::stage::{URL, ends, pass};
use crate::world::World;

const MESSAGES: usize = 6;
const BYTES: usize = 100;

#[derive(Clone, Debug)]
enum Step {
    Send { priority: Priority, millis: Option<u64>, volatile: bool, bytes: usize, speakable: bool },
    Pass(u64),
    Renew,
    Cancel(usize),
    Listen(Slow),
    Leave,
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    let priority = prop_oneof![Just(Priority::Low), Just(Priority::Normal), Just(Priority::High)];
    let send = (priority, proptest::option::of(0..2000_u64), proptest::bool::weighted(0.2), 0..60_usize, 0..10_u8);
    let slow = prop_oneof![Just(Slow::Wait), Just(Slow::DropOldest), Just(Slow::DropNewest)];
    prop_oneof![
        8 => send.prop_map(|(priority, millis, volatile, bytes, words)| {
            Step::Send { priority, millis, volatile, bytes, speakable: words > 0 }
        }),
        4 => (0..3000_u64).prop_map(Step::Pass),
        1 => Just(Step::Renew),
        1 => any::<usize>().prop_map(Step::Cancel),
        1 => slow.prop_map(Step::Listen),
        1 => Just(Step::Leave),
        2 => Just(Step::Read),
    ]
}

/// Serves as long as it likes, acknowledges as it likes, hangs up as it likes; writes down what it hears.
async fn serve(mut socket: Socket, random: Random, log: Arc<Mutex<Vec<String>>>) {
    let mut left = random.next_u64() % 8;
    while let Ok(Some(message)) = socket.recv().await {
        let text = message.as_text().expect("text").to_owned();
        let (number, word) = text.split_once('|').unwrap_or(("", &text));
        log.lock().expect("no panic").push(word.to_owned());
        let number = number.trim_end_matches('!');
        let answer = match random.next_u64() % 4 {
            0 => "noise".to_owned(),
            _ if number.is_empty() => continue,
            1 => format!("+{number}"),
            2 => format!("<{number}"),
            // It forgets: the next connection hears of it again.
            _ => continue,
        };
        if socket.send(answer).await.is_err() {
            return;
        }
        if left == 0 {
            break;
        }
        left -= 1;
    }
    if random.next_u64().is_multiple_of(2) {
        drop(socket.close(CloseCode::GOING_AWAY, "").await);
    }
}

async fn live(seed: u64, window: Option<usize>, overflow: Overflow, steps: Vec<Step>) -> Result<()> {
    let world = World::new();
    let random = Random::seeded(seed);
    for _ in 0..random.next_u64() % 3 {
        world.dialer.fail_next(ErrorKind::Connect);
    }
    let log = Arc::<Mutex<Vec<String>>>::default();
    let server = (random.clone(), Arc::clone(&log));
    world.serve_all(move |socket| serve(socket, server.0.clone(), Arc::clone(&server.1)));
    let env = world.env.with_random(random);
    let limits = QueueLimits::default().with_messages(MESSAGES).with_bytes(BYTES).with_overflow(overflow);
    let mut builder = Connection::builder(&env, URL)
        .dialect(Bars)
        .queue(limits)
        .listening(Listening::default().with_slow(Slow::DropOldest));
    if let Some(window) = window {
        builder = builder.at_least_once(AtLeastOnce::default().with_window(window));
    }
    let (connection, messages) = builder.open()?;
    let mut listeners = vec![messages];
    let mut receipts: Vec<(String, bool, Receipt)> = Vec::new();
    for (nth, step) in steps.into_iter().enumerate() {
        match step {
            Step::Send { priority, millis, volatile, bytes, speakable } => {
                let name = if speakable { format!("{nth}:{}", "x".repeat(bytes)) } else { "unspeakable".to_owned() };
                let mut outbound = Outbound::new(name.as_str()).priority(priority);
                if let Some(millis) = millis {
                    outbound = outbound.time_to_live(Duration::from_millis(millis));
                }
                if volatile {
                    outbound = outbound.volatile();
                }
                if let Ok(receipt) = connection.try_send(outbound) {
                    receipts.push((name, volatile, receipt));
                }
            }
            Step::Pass(millis) => pass(Duration::from_millis(millis)).await,
            Step::Renew => connection.renew(),
            Step::Cancel(at) if !receipts.is_empty() => {
                let (_, _, receipt) = &receipts[at % receipts.len()];
                if receipt.cancel() {
                    assert_eq!(receipt.status(), Status::Dropped(Dropped::Canceled));
                }
            }
            Step::Listen(slow) => {
                listeners.push(connection.messages(Listening::default().with_items(1).with_slow(slow)))
            }
            Step::Leave => drop(listeners.pop()),
            Step::Read => {
                for listener in &mut listeners {
                    while !listener.is_empty() {
                        ends(listener.next()).await;
                    }
                }
            }
            Step::Cancel(_) => {}
        }
        let snapshot = connection.snapshot();
        assert!(snapshot.queued <= MESSAGES && snapshot.queued_bytes <= BYTES, "{snapshot:?}");
        assert!(snapshot.unacknowledged <= window.unwrap_or(0));
    }
    ends(connection.close(CloseCode::NORMAL, "")).await?;
    ends(world.dialer.finish()).await;
    for mut listener in listeners {
        while ends(listener.next()).await.is_some() {}
    }
    let heard: HashSet<String> = log.lock().expect("no panic").drain(..).collect();
    let (mut dropped, mut unknown, mut went) = (0, 0, 0);
    for (name, volatile, receipt) in &receipts {
        match receipt.status() {
            Status::Acknowledged => {
                assert!(window.is_some() && !volatile && heard.contains(name), "{name}");
                went += 1;
            }
            Status::Written => {
                assert!(window.is_none() || *volatile, "{name} would be known");
                went += 1;
            }
            Status::Unknown => (unknown, went) = (unknown + 1, went + 1),
            Status::Dropped(_) => {
                assert!(!heard.contains(name), "{name} was heard");
                dropped += 1;
            }
            other => panic!("{name} is {other:?} for ever"),
        }
    }
    let counts = connection.snapshot().counts;
    assert_eq!((counts.dropped, counts.unknown), (dropped, unknown), "{counts:?}");
    assert_eq!(counts.sent - counts.resent, went, "{counts:?}");
    assert!(!connection.drained().await);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn all_is_accounted_for(
        seed: u64,
        window in proptest::option::of(1..4_usize),
        overflow in prop_oneof![
            Just(Overflow::Reject), Just(Overflow::Wait), Just(Overflow::DropOldest), Just(Overflow::DropNewest)
        ],
        steps in vec(step(), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("built").block_on(live(seed, window, overflow, steps)).expect("no error");
    }
}
