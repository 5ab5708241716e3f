//! From facts to how far the network reaches: pure, and with hysteresis.
//!
//! Facts come from three sides: the paths of this machine, what became of the application's own traffic, and probes. A path
//! that is gone is believed at once; traffic that fails is believed when it fails at several hosts and nothing succeeds in
//! between; a probe is believed unless traffic has succeeded since it began. Whatever says that the network is there is
//! believed at once.

mod config;
mod reason;

use std::time::{Duration, Instant};

use netcomm_core::Reach;

pub use self::config::ReachConfig;
pub use self::reason::Reason;

/// What traffic or a probe went through, as far as it matters here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Success {
    /// When what succeeded had begun.
    pub(crate) began: Instant,
    /// Whether the host was one that everybody can reach.
    pub(crate) is_public: bool,
    /// Whether the host has shown who it is, by TLS.
    pub(crate) is_secure: bool,
}

/// What a probe found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// The host answered as it should.
    Good,
    /// As `Good`, but names are not resolved.
    NoNames,
    /// As `Good`, but not over IPv4.
    NoIpv4,
    /// Somebody else answered.
    Portal,
    /// Nobody answered.
    Nothing,
    /// Somebody answered, and it can't be said who.
    Unclear,
}

/// Something that bears on how far the network reaches.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact {
    /// Whether there is a path out; `None` if nothing tells. `broke`: what was connected before is not to be trusted.
    Path { connected: Option<bool>, broke: bool },
    /// The machine slept.
    Slept,
    /// Traffic succeeded.
    Success(Success),
    /// Traffic failed at a host that everybody can reach; the number stands for the host.
    Failure { host: u64, began: Instant },
    /// A probe begins.
    ProbeBegan,
    /// The probe ended.
    ProbeEnded(Found),
    /// Somebody wants a probe.
    ProbeWanted,
    /// Time passed.
    Tick,
}

/// How far the network reaches, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) reach: Reach,
    pub(crate) reason: Reason,
}

const fn standing(reach: Reach, reason: Reason) -> Standing {
    Standing { reach, reason }
}

/// At how many hosts a failure is remembered at most.
const MAX_SUSPECTS: usize = 16;

/// The machine: facts in, [`Standing`] out. Its memory is fixed.
#[derive(Debug)]
pub(crate) struct Reachability {
    config: ReachConfig,
    has_probe: bool,
    connected: Option<bool>,
    standing: Standing,
    /// What began before this says nothing of the network that is there now.
    epoch: Instant,
    /// When something last succeeded at a host that everybody can reach.
    success: Option<Instant>,
    /// The last of these whose host had shown who it is.
    secure_success: Option<Instant>,
    /// Where traffic failed since, and when last.
    suspects: Vec<(u64, Instant)>,
    reopen: Option<Reopen>,
    /// Since when the application tries again: what had begun before fails without a word.
    trial: Option<Instant>,
    probe: Probing,
}

/// When the application may try again.
#[derive(Clone, Copy, Debug)]
struct Reopen {
    wait: Duration,
    at: Instant,
}

#[derive(Debug, Default)]
struct Probing {
    /// Since when one is under way.
    began: Option<Instant>,
    last_began: Option<Instant>,
    last_ended: Option<Instant>,
    /// Whether one is wanted as soon as may be.
    wanted: bool,
}

impl Reachability {
    /// A network of which nothing is known.
    pub(crate) fn new(config: ReachConfig, has_probe: bool, now: Instant) -> Self {
        let standing = if has_probe {
            standing(Reach::Limited, Reason::Unverified)
        } else {
            standing(Reach::Online, Reason::Presumed)
        };
        Self {
            config,
            has_probe,
            connected: None,
            standing,
            epoch: now,
            success: None,
            secure_success: None,
            suspects: Vec::new(),
            reopen: None,
            trial: None,
            probe: Probing { wanted: has_probe, ..Probing::default() },
        }
    }

    pub(crate) fn standing(&self) -> Standing {
        self.standing
    }

    /// Whether there is a probe, and a path to send it over.
    pub(crate) fn can_probe(&self) -> bool {
        self.has_probe && self.connected != Some(false)
    }

    /// Takes one fact. Whether the standing is another now.
    pub(crate) fn take(&mut self, now: Instant, fact: Fact) -> bool {
        let before = self.standing;
        match fact {
            Fact::Path { connected, broke } => self.path(now, connected, broke),
            Fact::Slept => self.slept(now),
            Fact::Success(success) => self.success(now, success),
            Fact::Failure { host, began } => self.failure(now, host, began),
            Fact::ProbeBegan => {
                self.probe.began = Some(now);
                self.probe.last_began = Some(now);
                self.probe.wanted = false;
            }
            Fact::ProbeEnded(found) => self.probe_ended(now, found),
            Fact::ProbeWanted => self.probe.wanted = self.has_probe,
            Fact::Tick => self.tick(now),
        }
        self.standing != before
    }

    /// When [`Fact::Tick`] is due, if nothing else happens.
    pub(crate) fn tick_at(&self) -> Option<Instant> {
        self.reopen.filter(|_| self.standing.reach == Reach::Offline).map(|reopen| reopen.at)
    }

    /// When a probe is due, if nothing else happens.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        if !self.can_probe() || self.probe.began.is_some() {
            return None;
        }
        let soonest = self.probe.last_began.map(|began| began + self.config.probe_spacing);
        let due = if self.probe.wanted {
            self.epoch
        } else if self.standing.reach != Reach::Online {
            self.probe.last_ended.unwrap_or(self.epoch) + self.config.probe_when_down
        } else {
            let known = self.success.max(self.probe.last_ended).unwrap_or(self.epoch);
            known + self.config.probe_when_idle?
        };
        Some(soonest.map_or(due, |soonest| due.max(soonest)))
    }

    fn path(&mut self, now: Instant, connected: Option<bool>, broke: bool) {
        let was = std::mem::replace(&mut self.connected, connected);
        if connected == Some(false) {
            if was != Some(false) {
                self.forget(now);
                self.standing = standing(Reach::Offline, Reason::NoPath);
            }
            return;
        }
        if was == Some(false) || broke {
            self.forget(now);
            self.another_network(was == Some(false));
        } else if was.is_none() && connected.is_some() && self.standing.reason == Reason::Presumed {
            self.standing = standing(Reach::Online, Reason::Path);
        }
    }

    fn slept(&mut self, now: Instant) {
        self.forget(now);
        if self.connected != Some(false) {
            self.another_network(false);
        }
    }

    /// A network of which nothing is known yet.
    fn another_network(&mut self, returned: bool) {
        self.probe.wanted = self.has_probe;
        if self.standing.reach == Reach::Online && !returned {
            // It is there until somebody says otherwise: who moves from one network to another was never away.
            self.standing.reason = self.path_reason();
            return;
        }
        self.standing = if self.has_probe {
            standing(Reach::Limited, Reason::Unverified)
        } else {
            standing(Reach::Online, self.path_reason())
        };
    }

    fn path_reason(&self) -> Reason {
        match self.connected {
            Some(true) => Reason::Path,
            _ => Reason::Presumed,
        }
    }

    /// What was known says nothing any more.
    fn forget(&mut self, now: Instant) {
        self.epoch = now;
        self.success = None;
        self.secure_success = None;
        self.suspects.clear();
        self.reopen = None;
        self.trial = None;
    }

    fn success(&mut self, now: Instant, success: Success) {
        if success.began < self.epoch {
            // The end of something that went over a network which is gone.
            return;
        }
        if !success.is_public {
            if self.standing.reach == Reach::Offline && self.connected != Some(false) {
                self.standing = standing(Reach::Limited, Reason::PrivateOnly);
            }
            return;
        }
        if success.is_secure {
            self.secure_success = Some(now);
        } else if self.standing.reach == Reach::Captive {
            // A portal answers for anybody who does not show who he is.
            return;
        }
        self.is_there(now, standing(Reach::Online, Reason::Traffic));
    }

    fn is_there(&mut self, now: Instant, to: Standing) {
        self.success = Some(now);
        self.suspects.clear();
        self.reopen = None;
        if to.reach == Reach::Online && self.standing.reach == Reach::Online {
            // Which of two good reasons it is does not change with every response.
            if matches!(self.standing.reason, Reason::Traffic | Reason::Probe) {
                return;
            }
        }
        self.standing = to;
    }

    fn failure(&mut self, now: Instant, host: u64, began: Instant) {
        let is_old = began < self.epoch || self.trial.is_some_and(|trial| began < trial);
        if is_old || self.success.is_some_and(|success| success > began) {
            // Something else succeeded meanwhile: it is this host's trouble.
            return;
        }
        if matches!(self.standing.reach, Reach::Offline | Reach::Captive) {
            return;
        }
        let memory = self.config.failure_memory;
        self.suspects.retain(|(other, at)| *other != host && now.saturating_duration_since(*at) < memory);
        if self.suspects.len() >= MAX_SUSPECTS {
            self.suspects.remove(0);
        }
        self.suspects.push((host, now));
        // Without a path there was but the word of one success, and a trial is over with its first failure.
        let least = match self.standing.reason {
            _ if self.connected == Some(false) => 1,
            Reason::Retrying => 1,
            _ => self.config.failed_hosts.clamp(1, MAX_SUSPECTS),
        };
        if self.suspects.len() >= least {
            self.is_away(now, Reason::TrafficFailed);
        } else {
            self.probe.wanted = self.has_probe;
        }
    }

    fn is_away(&mut self, now: Instant, reason: Reason) {
        self.success = None;
        self.secure_success = None;
        self.suspects.clear();
        if self.connected == Some(false) {
            self.reopen = None;
            self.standing = standing(Reach::Offline, Reason::NoPath);
            return;
        }
        let wait = match self.reopen {
            // The trial failed, or another failure came on top: the wait that is running goes on.
            Some(reopen) if reopen.at > now => reopen,
            Some(reopen) => self.reopen_after(now, reopen.wait.saturating_mul(2)),
            None => self.reopen_after(now, self.config.reopen_after),
        };
        self.reopen = Some(wait);
        self.standing = standing(Reach::Offline, reason);
    }

    fn reopen_after(&self, now: Instant, wait: Duration) -> Reopen {
        let wait = wait.min(self.config.reopen_at_most).max(Duration::from_millis(1));
        Reopen { wait, at: now + wait }
    }

    fn probe_ended(&mut self, now: Instant, found: Found) {
        let Some(began) = self.probe.began.take() else { return };
        self.probe.last_ended = Some(now);
        if began < self.epoch {
            // It was sent over a network that is gone.
            self.probe.wanted = self.connected != Some(false);
            return;
        }
        let outdone = |success: Option<Instant>| success.is_some_and(|success| success > began);
        match found {
            Found::Good => {
                self.secure_success = Some(now);
                self.is_there(now, standing(Reach::Online, Reason::Probe));
            }
            Found::NoIpv4 => self.is_there(now, standing(Reach::Limited, Reason::NoIpv4)),
            // Who reached a host by its name has shown that names are resolved.
            Found::NoNames if outdone(self.success) => {}
            Found::NoNames => self.is_there(now, standing(Reach::Limited, Reason::NoNames)),
            Found::Portal if outdone(self.secure_success) => {}
            Found::Portal if self.connected == Some(false) => {}
            Found::Portal => {
                self.success = None;
                self.suspects.clear();
                self.reopen = None;
                self.standing = standing(Reach::Captive, Reason::Portal);
            }
            Found::Nothing if outdone(self.success) => {}
            Found::Nothing => self.is_away(now, Reason::ProbeFailed),
            Found::Unclear => {
                if self.standing.reason == Reason::Unverified {
                    self.standing = standing(Reach::Online, self.path_reason());
                } else if self.standing.reach == Reach::Offline && self.connected != Some(false) {
                    self.standing = standing(Reach::Limited, Reason::Retrying);
                    self.trial = Some(now);
                }
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        if self.tick_at().is_some_and(|at| at <= now) {
            self.standing = standing(Reach::Limited, Reason::Retrying);
            self.trial = Some(now);
        }
    }
}

#[cfg(test)]
mod tests;
