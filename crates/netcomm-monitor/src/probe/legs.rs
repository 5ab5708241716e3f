//! A whole probe: both address families side by side, several tries each, and by address where the name leads nowhere.

use std::sync::Arc;
use std::time::Instant;

use netcomm_core::{AddressFamily, Env, Error, ErrorKind, Phase, Result};
use tokio::task::JoinSet;
use url::Url;

use super::exchange::ask;
use super::{Answer, Probe, ProbeReport};

/// Probes over those families for which there is a path; over any if none is known.
///
/// # Cancel safety
///
/// Dropping the future ends all tries.
pub(crate) async fn run(env: &Env, probe: &Arc<Probe>, families: &[AddressFamily]) -> ProbeReport {
    let began = env.clock().now();
    let mut report = ProbeReport { v4: None, v6: None, by_address: None, took: Default::default() };
    let families = match probe.url.host() {
        // An address is of one family, whatever the paths.
        Some(url::Host::Ipv4(_)) => &[AddressFamily::V4][..],
        Some(url::Host::Ipv6(_)) => &[AddressFamily::V6][..],
        _ => families,
    };
    let mut ways = JoinSet::new();
    for family in families {
        let (env, probe, family) = (env.clone(), Arc::clone(probe), *family);
        ways.spawn(async move { (family, way(&env, &probe, &probe.url, Some(family), began).await) });
    }
    while let Some(ended) = ways.join_next().await {
        if let Ok((family, answer)) = ended {
            *report.way(family) = Some(answer);
        }
    }
    settle_families(&mut report);
    let is_nameless = |answer: &Option<Answer>| matches!(answer, Some(Answer::None { is_name: true, .. }) | None);
    if let Some(url) = probe.by_address.as_ref().filter(|_| is_nameless(&report.v4) && is_nameless(&report.v6)) {
        let answer = way(env, probe, url, None, env.clock().now()).await;
        report.by_address = Some(answer);
    }
    report.took = env.clock().now().saturating_duration_since(began);
    report
}

/// A host that has no address of one family was not asked over it, if it has one of the other.
fn settle_families(report: &mut ProbeReport) {
    let is_nameless = |answer: &Option<Answer>| matches!(answer, Some(Answer::None { is_name: true, .. }));
    match (is_nameless(&report.v4), is_nameless(&report.v6)) {
        (true, false) if report.v6.is_some() => report.v4 = None,
        (false, true) if report.v4.is_some() => report.v6 = None,
        _ => {}
    }
}

/// So many tries that were refused are no accident: no further one is begun. Those that hear nothing are waited for.
const ENOUGH: u32 = 3;

/// One way to the host: a try, and another one each time that no answer has come for a while; the first answer counts.
async fn way(env: &Env, probe: &Arc<Probe>, url: &Url, family: Option<AddressFamily>, began: Instant) -> Answer {
    match tries(env, probe, url, family, began).await {
        Ok(answer) => answer,
        Err(error) => Answer::None { error: error.kind().as_str(), is_name: is_name(&error) },
    }
}

fn is_name(error: &Error) -> bool {
    error.kind() == ErrorKind::Dns || error.phase() == Some(Phase::Dns)
}

async fn tries(
    env: &Env,
    probe: &Arc<Probe>,
    url: &Url,
    family: Option<AddressFamily>,
    began: Instant,
) -> Result<Answer> {
    let mut running: JoinSet<Result<Answer>> = JoinSet::new();
    let mut end = env.clock().sleep_until(began + probe.timeout);
    let mut next = env.clock().sleep_until(began);
    let (mut last, mut failed) = (None, 0_u32);
    loop {
        tokio::select! {
            biased;
            Some(ended) = running.join_next() => match ended {
                Ok(Ok(answer)) => return Ok(answer),
                // A name that leads nowhere does so at once, and again.
                Ok(Err(error)) if error.kind() == ErrorKind::Dns => return Err(error),
                Ok(Err(error)) => {
                    failed += 1;
                    if failed >= ENOUGH && running.is_empty() {
                        return Err(error);
                    }
                    last = Some(error);
                }
                Err(_) => {}
            },
            () = &mut end => {
                return Err(last.unwrap_or_else(|| Error::timeout("probe", Phase::Total)));
            }
            () = &mut next => {
                let (env, probe, url) = (env.clone(), Arc::clone(probe), url.clone());
                next = env.clock().sleep_until(env.clock().now() + probe.try_after);
                running.spawn(async move { ask(&env, &probe, &url, family).await });
            }
        }
    }
}
