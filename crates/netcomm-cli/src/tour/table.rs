//! How the tour is told: the words around a scene, and the table at the end.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::scene::{Scene, Verdict};

/// How a scene went.
pub(super) struct Outcome {
    pub(super) number: usize,
    pub(super) scene: &'static Scene,
    pub(super) verdict: Verdict,
    pub(super) took: Duration,
}

impl Outcome {
    pub(super) fn is_kept(&self) -> bool {
        self.verdict.is_ok()
    }

    fn word(&self, ink: Ink) -> String {
        if self.is_kept() { ink.paint("32", "kept") } else { ink.paint("1;31", "BROKEN") }
    }

    fn seen(&self) -> &str {
        match &self.verdict {
            Ok(seen) => seen,
            Err(broken) => broken.how(),
        }
    }
}

/// Whether words have colours.
#[derive(Clone, Copy)]
pub(super) struct Ink(bool);

impl Ink {
    /// Colours on a terminal whose owner has not said no (<https://no-color.org>).
    pub(super) fn for_terminal(is_terminal: bool) -> Self {
        Self(is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    fn paint(self, style: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{style}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What is told before a scene.
pub(super) fn opening(number: usize, scene: &Scene, ink: Ink) -> String {
    let title = ink.paint("1", scene.title);
    format!("{number:>2}. {title}\n    origin   {}\n    promise  {}\n", scene.origin, scene.promise)
}

/// What is told after it.
pub(super) fn closing(outcome: &Outcome, ink: Ink) -> String {
    let padding = if outcome.is_kept() { "     " } else { "   " };
    format!("    {}{padding}{} ({} ms)\n\n", outcome.word(ink), outcome.seen(), outcome.took.as_millis())
}

/// The table at the end.
pub(super) fn render(outcomes: &[Outcome], ink: Ink) -> String {
    let width = |text: fn(&Scene) -> &'static str| {
        outcomes.iter().map(|outcome| text(outcome.scene).chars().count()).max().unwrap_or_default()
    };
    let (names, titles) = (width(|scene| scene.name), width(|scene| scene.title));
    let line = format!("{}\n", "─".repeat(4 + names + 2 + titles + 2 + 6 + 9));
    let mut text = line.clone();
    for outcome in outcomes {
        let Scene { name, title, .. } = outcome.scene;
        let padding = if outcome.is_kept() { "  " } else { "" };
        let (word, took) = (outcome.word(ink), outcome.took.as_millis());
        writeln!(text, "{:>2}  {name:<names$}  {title:<titles$}  {word}{padding}{took:>6} ms", outcome.number)
            .expect("a string takes all text");
    }
    text.push_str(&line);
    let kept = outcomes.iter().filter(|outcome| outcome.is_kept()).count();
    let took: Duration = outcomes.iter().map(|outcome| outcome.took).sum();
    writeln!(text, "{kept} of {} promises kept in {:.1} s", outcomes.len(), took.as_secs_f64())
        .expect("a string takes all text");
    text
}

/// A scene in machine output.
pub(super) fn json(outcome: &Outcome) -> Value {
    json!({
        "number": outcome.number,
        "name": outcome.scene.name,
        "title": outcome.scene.title,
        "promise": outcome.scene.promise,
        "kept": outcome.is_kept(),
        "seen": outcome.seen(),
        "ms": u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::super::scene::Broken;
    use super::*;

    const SCENE: Scene = Scene {
        name: "x",
        title: "A title",
        origin: "does this",
        promise: "does that",
        play: || Box::pin(async { Ok(String::new()) }),
    };

    #[test]
    fn the_table_is_aligned_and_counts() {
        let outcome = |number, verdict| Outcome { number, scene: &SCENE, verdict, took: Duration::from_millis(50) };
        let outcomes = [outcome(1, Ok("seen".to_owned())), outcome(2, Err(Broken::new("no")))];
        let expected = "\
───────────────────────────────
 1  x  A title  kept      50 ms
 2  x  A title  BROKEN    50 ms
───────────────────────────────
1 of 2 promises kept in 0.1 s
";
        assert_eq!(render(&outcomes, Ink(false)), expected);
        assert!(render(&outcomes, Ink(true)).contains("\x1b[32mkept\x1b[0m"));
        assert_eq!(json(&outcomes[1])["kept"], json!(false));
        assert_eq!(closing(&outcomes[1], Ink(false)), "    BROKEN   no (50 ms)\n\n");
    }
}
