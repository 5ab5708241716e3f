//! A source that is restarted, closed, started again, moved from network to network and taken offline at random, over a server
//! that breaks: whatever happens, its events come in their order, none lost and none twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use netcomm_core::{Error, ErrorKind, Random, Reach, Result};
use netcomm_sse::{KeepId, Notice, State};
use netcomm_tests::ManualConnectivity;

use crate::lives::{EVENTS, blocks, reply};
use crate::stage::{Server, env, pass, word};

/// Keeps an id now and then, slowly, and only one that was taken.
#[derive(Clone)]
struct Keep {
    random: Random,
    /// How many events were taken.
    taken: Arc<AtomicUsize>,
    kept: Arc<Mutex<Option<String>>>,
}

impl KeepId for Keep {
    async fn load(&self) -> Result<Option<String>> {
        pass(Duration::from_millis(self.random.next_u64() % 900)).await;
        match self.random.next_u64() % 9 {
            0 => Err(Error::new(ErrorKind::Io, "load")),
            _ => Ok(self.kept.lock().expect("held shortly").clone()),
        }
    }

    async fn save(&self, id: String) -> Result<()> {
        let number: usize = id.trim_end_matches('…').parse().expect("a number");
        assert!(number < self.taken.load(Ordering::Relaxed), "{number} is kept and was not taken");
        let before = self.kept.lock().expect("held shortly").clone();
        let before = before.map(|id| id.trim_end_matches('…').parse::<usize>().expect("a number"));
        assert!(before <= Some(number), "{before:?} is newer than {number}");
        pass(Duration::from_millis(self.random.next_u64() % 5000)).await;
        match self.random.next_u64() % 4 {
            0 => Err(Error::new(ErrorKind::Io, "save")),
            _ => {
                *self.kept.lock().expect("held shortly") = Some(id);
                Ok(())
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_its_owner_does_events_come_in_their_order() {
    let (mut whole, mut ends) = (0, 0);
    for life in 0..300 {
        let random = Random::seeded(1000 + life);
        let pick = |below: u64| random.next_u64() % below;
        let network = ManualConnectivity::online();
        let said = blocks(&random);
        let server = Server::new({
            let random = random.clone();
            move |asked| reply(asked, &said, &random)
        });
        let env = env().with_random(random.clone()).with_connectivity(network.shared());
        let builder = server.builder_in(&env).comments(pick(2) == 0).idle_timeout(Duration::from_secs(4));
        // A gap everywhere, so that events wait behind it.
        let builder = if pick(2) == 0 { builder.gaps(|_, _| true) } else { builder };
        let taken = Arc::new(AtomicUsize::new(0));
        let keep = Keep { random: random.clone(), taken: Arc::clone(&taken), kept: Arc::default() };
        let keeps = pick(2) == 0;
        let builder = if keeps { builder.keep_id(keep.clone()) } else { builder };
        let mut stream = builder.stream().expect("a stream");
        let (mut next, mut is_over, mut told) = (0, false, Vec::new());
        for _ in 0..400 {
            match pick(40) {
                0 => stream.restart(),
                1 => stream.close(),
                2 => network.roam(),
                3 => network.set_reach(if pick(2) == 0 { Reach::Offline } else { Reach::Online }),
                _ => {}
            }
            if is_over && pick(3) == 0 {
                stream.restart();
            }
            let is_begun_again = !matches!(stream.state(), State::Closed(_));
            let time = Duration::from_millis(pick(2000));
            let Ok(notice) = tokio::time::timeout(time, stream.notice()).await else { continue };
            let Some(notice) = notice else {
                is_over = true;
                assert!(stream.state().is_closed());
                continue;
            };
            told.push(word(&notice));
            assert!(!is_over || is_begun_again, "life {life}: {told:?}");
            is_over = matches!(notice, Notice::Closed(_));
            ends += usize::from(is_over);
            if let Notice::Event(event) = notice {
                assert_eq!(event.id, format!("{next}…").as_str(), "life {life}: {told:?}");
                next += 1;
                taken.store(next, Ordering::Relaxed);
            }
            assert!(server.streams() <= 1, "life {life}: {told:?}");
        }
        if keeps && pick(2) == 0 {
            // Another process goes on where this one was killed: nothing is lost.
            drop(stream);
            let kept = keep.kept.lock().expect("held shortly").clone();
            let mut stream =
                server.builder_in(&env).last_event_id(kept.clone().unwrap_or_default()).stream().expect("one");
            let first = kept.map_or(0, |id| id.trim_end_matches('…').parse::<usize>().expect("a number") + 1);
            network.set_reach(Reach::Online);
            if first < EVENTS {
                let event = crate::stage::ends(stream.next()).await.expect("more").expect("no error");
                assert_eq!(event.id, format!("{first}…").as_str());
            }
        }
        whole += usize::from(next == EVENTS);
    }
    assert!(whole > 30 && ends > 300, "{whole} whole lives and {ends} ends try little");
}
