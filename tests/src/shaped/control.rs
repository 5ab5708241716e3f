//! What the test holds of a link: its profile, and what happens to it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use netcomm_core::Random;
use tokio::sync::watch;
use tokio::time::Instant;

use super::LinkProfile;
use super::lane::Direction;

/// Steers a link, for connections that there are and those that come. Cheap to clone; clones steer the same link.
///
/// Byte counts are of each connection, from its beginning, towards the client.
#[derive(Clone, Debug)]
pub struct LinkControl {
    state: Arc<watch::Sender<State>>,
    random: Random,
    /// When the link has sent all that it was given, upwards and downwards.
    free: Arc<Mutex<[Option<Instant>; 2]>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) profile: LinkProfile,
    pub(super) is_black_hole: bool,
    pub(super) is_refusing: bool,
    pub(super) cuts: u64,
    pub(super) reset_after: Option<u64>,
    pub(super) end_after: Option<u64>,
    pub(super) corrupt_at: Option<u64>,
    pub(super) drip: Option<(usize, Duration)>,
}

impl LinkControl {
    pub(super) fn new(profile: LinkProfile, seed: u64) -> Self {
        let state = State {
            profile,
            is_black_hole: false,
            is_refusing: false,
            cuts: 0,
            reset_after: None,
            end_after: None,
            corrupt_at: None,
            drip: None,
        };
        Self { state: Arc::new(watch::Sender::new(state)), random: Random::seeded(seed), free: Arc::default() }
    }

    /// The link is like that for all that is sent from now on.
    pub fn set_profile(&self, profile: LinkProfile) {
        self.state.send_modify(|state| state.profile = profile);
    }

    /// Nothing comes out any more, and nobody is told; what was under way comes when it is over.
    pub fn set_black_hole(&self, is_black_hole: bool) {
        self.state.send_modify(|state| state.is_black_hole = is_black_hole);
    }

    /// New connections are refused, or ended as soon as they are there where they cannot be refused.
    pub fn set_refusing(&self, is_refusing: bool) {
        self.state.send_modify(|state| state.is_refusing = is_refusing);
    }

    /// Ends all connections at once: by a reset over TCP, by an end in memory.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }

    /// Ends each connection as [`cut`](Self::cut) does, after that many bytes; `None` does not.
    pub fn set_reset_after(&self, bytes: Option<u64>) {
        self.state.send_modify(|state| state.reset_after = bytes);
    }

    /// Ends the way to the client after that many bytes, and leaves the other open; `None` does not.
    pub fn set_end_after(&self, bytes: Option<u64>) {
        self.state.send_modify(|state| state.end_after = bytes);
    }

    /// Turns all bits of the byte at that offset; `None` of none.
    pub fn set_corrupt_at(&self, offset: Option<u64>) {
        self.state.send_modify(|state| state.corrupt_at = offset);
    }

    /// Gives the client so many bytes at a time, with that pause before each; `None` gives all that there is.
    pub fn set_drip(&self, drip: Option<(usize, Duration)>) {
        self.state.send_modify(|state| state.drip = drip);
    }

    pub(super) fn state(&self) -> State {
        *self.state.borrow()
    }

    pub(super) async fn open(&self) {
        let mut state = self.state.subscribe();
        // Fails only if there is no sender, and this is one.
        drop(state.wait_for(|state| !state.is_black_hole).await);
    }

    /// Ready when connections are cut for the next time after `seen`.
    pub(super) async fn cut_after(&self, seen: u64) -> io::Error {
        let mut state = self.state.subscribe();
        drop(state.wait_for(|state| state.cuts > seen).await);
        io::ErrorKind::ConnectionReset.into()
    }

    /// When so many bytes have left: connections share the rate of the link, and wait for each other.
    pub(super) fn turn(&self, direction: Direction, now: Instant, bytes: usize) -> Instant {
        let profile = self.state().profile;
        let kbps = if direction == Direction::Up { profile.up_kbps } else { profile.down_kbps };
        let turn = if kbps == 0 { 0.0 } else { bytes as f64 * 8.0 / (kbps as f64 * 1000.0) };
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = &mut free[direction as usize];
        let left = free.map_or(now, |free| free.max(now)) + Duration::from_secs_f64(turn);
        *free = Some(left);
        left
    }

    /// How long a segment is under way, without its turn.
    pub(super) fn way(&self) -> Duration {
        let profile = self.state().profile;
        let jitter = profile.jitter.as_secs_f64() * (self.random.fraction() - 0.5) / 2.0;
        let mut way = (profile.rtt.as_secs_f64() / 2.0 + jitter).max(0.0);
        let mut timeout = profile.retransmission_timeout().as_secs_f64();
        for _ in 0..MOST_LOSSES {
            if self.random.fraction() >= profile.loss {
                break;
            }
            way += timeout;
            timeout *= 2.0;
        }
        Duration::from_secs_f64(way)
    }
}

/// How often a segment is lost at most, one time after the other.
const MOST_LOSSES: u32 = 6;
