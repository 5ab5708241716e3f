//! The tour: an origin that drops, stalls, redirects, compresses and misbehaves, and a client that comes through.
//!
//! A room per scene. Everything happens on loopback ports, is bounded in time and needs no network.

mod cache;
mod comeback;
mod compression;
mod events;
mod eyeballs;
mod guard;
mod heads;
mod network;
mod pool;
mod redirects;
mod resume;
mod reuse;
mod scene;
mod scope;
mod stage;
mod stale;
mod stall;
mod table;
mod token;
mod trouble;

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use netcomm::{Error, ErrorKind, Result};
use serde_json::json;

use crate::{args, exit, output};
use scene::{Broken, Scene};
use table::{Ink, Outcome};

/// The scenes, in their order.
const SCENES: &[Scene] = &[
    reuse::SCENE,
    redirects::SCENE,
    stale::SCENE,
    stall::SCENE,
    resume::SCENE,
    compression::SCENE,
    heads::SCENE,
    eyeballs::SCENE,
    guard::SCENE,
    scope::SCENE,
    token::SCENE,
    pool::SCENE,
    cache::SCENE,
    comeback::SCENE,
    events::SCENE,
    network::SCENE,
    trouble::SCENE,
];

/// The most that a scene may take: none of them may hang.
const CURTAIN: Duration = Duration::from_secs(20);

/// Plays the scenes; the exit code tells whether all promises were kept.
pub(crate) async fn run(args: &args::Tour) -> ExitCode {
    match play(args).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(exit::FAILED),
        Err(error) => {
            output::tell(&exit::describe(&error));
            exit::code(&error)
        }
    }
}

async fn play(args: &args::Tour) -> Result<bool> {
    let ink = Ink::for_terminal(std::io::stdout().is_terminal());
    let mut outcomes = Vec::new();
    for (number, scene) in chosen(args.scene.as_deref())? {
        if !args.json {
            output::print(&table::opening(number, scene, ink))?;
        }
        let started = Instant::now();
        let verdict = match tokio::time::timeout(CURTAIN, (scene.play)()).await {
            Ok(verdict) => verdict,
            Err(_) => Err(Broken::new(format!("not over after {CURTAIN:?}"))),
        };
        let outcome = Outcome { number, scene, verdict, took: started.elapsed() };
        if !args.json {
            output::print(&table::closing(&outcome, ink))?;
        }
        outcomes.push(outcome);
    }
    if args.json {
        let scenes: Vec<_> = outcomes.iter().map(table::json).collect();
        let kept = outcomes.iter().filter(|outcome| outcome.is_kept()).count();
        let tour = json!({ "kept": kept, "broken": outcomes.len() - kept, "scenes": scenes });
        output::print(&format!("{tour}\n"))?;
    } else {
        output::print(&table::render(&outcomes, ink))?;
    }
    Ok(outcomes.iter().all(Outcome::is_kept))
}

/// All scenes, or the one that is asked for by number or name.
fn chosen(wanted: Option<&str>) -> Result<Vec<(usize, &'static Scene)>> {
    let numbered = SCENES.iter().enumerate().map(|(at, scene)| (at + 1, scene));
    let Some(wanted) = wanted else { return Ok(numbered.collect()) };
    let scenes: Vec<_> =
        numbered.filter(|(number, scene)| scene.name == wanted || number.to_string() == wanted).collect();
    if scenes.is_empty() {
        let names: Vec<_> = SCENES.iter().map(|scene| scene.name).collect();
        return Err(Error::new(ErrorKind::Invalid, "choose scene").with_detail(format!(
            "{wanted:?} is none of 1 to {}, {}",
            SCENES.len(),
            names.join(", ")
        )));
    }
    Ok(scenes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_are_found_by_number_and_by_name() {
        let names =
            |wanted| chosen(wanted).map(|scenes| scenes.iter().map(|(_, scene)| scene.name).collect::<Vec<_>>()).ok();
        assert_eq!(names(None).map(|names| names.len()), Some(SCENES.len()));
        assert_eq!(names(Some("1")), Some(vec!["reuse"]));
        assert_eq!(names(Some("pool")), Some(vec!["pool"]));
        assert_eq!(names(Some("0")), None);
        assert_eq!(names(Some("")), None);
    }
}
