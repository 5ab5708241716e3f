//! `netcomm monitor --once`: the first verdict, and an exit code.

use std::process::ExitCode;
use std::time::Duration;

use netcomm::core::Reach;
use netcomm::monitor::{Reason, State};
use netcomm::{Error, Result};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::ask;
use super::lines::words;
use super::row::seconds;
use super::setup::Watching;
use super::standing::Standing;
use crate::{args, exit, output};

/// The longest wait for a verdict.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for the verdict, tells it, and gives 0 if the network is online, else 1.
///
/// # Errors
///
/// Kind `Invalid` for URLs that are none, `Io` if nobody reads the verdict.
pub(super) async fn run(args: &args::Monitor, watching: &Watching) -> Result<ExitCode> {
    let until = Instant::now() + PATIENCE;
    let asked = async {
        let mut asking = ask::once(&watching.env, &args.urls)?;
        while asking.join_next().await.is_some() {}
        Ok::<_, Error>(())
    };
    let verdict = async {
        let (asked, ()) = tokio::join!(asked, verdict(args, watching));
        asked
    };
    // Whatever is known then is the verdict.
    if let Ok(outcome) = timeout_at(until, verdict).await {
        outcome?;
    }
    let (standing, quality) = (Standing::of(&watching.monitor.state()), watching.monitor.quality());
    let is_known = quality.samples > 0 || quality.failures.is_some();
    if args.json {
        let mut told = standing.json();
        if let Value::Object(told) = &mut told {
            told.insert("at".to_owned(), seconds(watching.env.clock().wall()).into());
            told.insert("kind".to_owned(), "verdict".into());
            let quality = is_known.then(|| serde_json::to_value(quality).unwrap_or_default());
            told.insert("quality".to_owned(), quality.into());
        }
        output::print(&format!("{told}\n"))?;
    } else {
        let quality = if is_known { format!("{}\n", words(&quality)) } else { String::new() };
        output::print(&format!("{}\n{quality}", output::escaped(&standing.text())))?;
    }
    Ok(match standing.reach {
        Reach::Online => ExitCode::SUCCESS,
        _ => ExitCode::from(exit::FAILED),
    })
}

/// Until there is a verdict: a probe's, or that there is no way to send one; without a probe, word of the paths.
async fn verdict(args: &args::Monitor, watching: &Watching) {
    let mut states = watching.monitor.states();
    while let Some(state) = states.next().await {
        if state.is_ok_and(|state| is_verdict(&state, args.probe.is_some(), watching.has_paths)) {
            return;
        }
    }
}

/// Whether there is nothing more to wait for.
fn is_verdict(state: &State, has_probe: bool, has_paths: bool) -> bool {
    let has_answer = state.probe.is_some() || state.reason == Reason::NoPath;
    has_answer || (!has_probe && (state.paths.is_some() || !has_paths))
}
