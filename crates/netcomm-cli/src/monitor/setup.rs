//! What is watched, and by what: one environment, with a monitor, a recorder and a counter on it.

use std::time::Duration;

use netcomm::core::{Interest, Listening, Slow};
use netcomm::dial::SystemClock;
use netcomm::monitor::{Fan, Monitor, ObservationStream, Probe, Recorder, Stats, system_paths};
use netcomm::{Env, Policy, Result, Tap, Timeouts};

use crate::{args, client};

/// The longest that anything asked here may take: what watches should not wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);
/// As much as is kept of each body, in bytes.
const BODY_BYTES: usize = 16 * 1024;
/// Observations that wait to be shown, at most.
const WAITING: usize = 4096;

/// All that watches.
pub(super) struct Watching {
    /// What is done in here is watched.
    pub(super) env: Env,
    pub(super) monitor: Monitor,
    pub(super) recorder: Recorder,
    pub(super) stats: Stats,
    /// What happens, to know what to look up in the recorder.
    pub(super) happens: ObservationStream,
    /// Whether something tells of paths.
    pub(super) has_paths: bool,
}

/// Begins to watch.
///
/// # Errors
///
/// Kind `Invalid` for options that mean nothing, `Io` for files that cannot be read.
pub(super) async fn start(args: &args::Monitor) -> Result<Watching> {
    let way = args::Way { cacert: args.cacert.clone(), ..args::Way::default() };
    let policy = Policy::default().with_timeouts(Timeouts::default().with_total(Some(PATIENCE)));
    let base = Env::new(client::dialer(&way, Tap::off()).await?, SystemClock).with_policy(policy);
    let recorder = Recorder::builder(&base).body_bytes(BODY_BYTES).build();
    let stats = Stats::new();
    let wanted = Interest::CALL | Interest::ATTEMPT | Interest::CONNECTION | Interest::DECISION | Interest::MESSAGE;
    let limits = Listening::default().with_items(WAITING).with_slow(Slow::DropOldest);
    let (happens, feed) = ObservationStream::with_limits(wanted, limits);
    // The feed comes last: who hears of a call through it finds it in the recorder.
    let fan = Fan::new().with(recorder.clone()).with(stats.clone()).with(feed);
    let base = base.with_tap(Tap::new(fan));

    let mut builder = Monitor::builder(&base).private_hosts(args.private_hosts);
    let paths = system_paths().ok().filter(|_| !args.ignore_paths);
    let has_paths = paths.is_some();
    builder = match paths {
        Some(paths) => builder.paths(paths),
        None => builder.without_paths(),
    };
    if let Some(url) = &args.probe {
        let probe = Probe::new(url)?;
        builder = builder.probe(if args.challenge { probe.with_challenge() } else { probe });
    }
    let monitor = builder.start();
    let env = monitor.env(&base);
    // Lookups and connections are told of by the dialer.
    let dialer = client::dialer(&way, env.tap().clone()).await?;
    Ok(Watching { env: env.with_dialer(dialer), monitor, recorder, stats, happens, has_paths })
}
