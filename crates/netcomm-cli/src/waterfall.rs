//! Where the time of a call went, as bars that begin where the one before ended: pure.

use std::fmt::Write as _;
use std::time::Duration;

use netcomm::http::{Attempt, Timing};

use crate::{exit, json};

/// Cells that the whole call takes.
const WIDTH: usize = 40;

/// The phases that happened, one to a line, and the sum.
pub(crate) fn render(timing: &Timing) -> String {
    let total = timing.total();
    let phases = [
        ("before", Some(timing.before)),
        ("blocked", Some(timing.blocked)),
        ("dns", timing.dns),
        ("connect", timing.connect),
        ("proxy", timing.proxy),
        ("tls", timing.tls),
        ("send", Some(timing.send)),
        ("wait", Some(timing.wait)),
        ("receive", timing.receive),
    ];
    let mut text = String::new();
    let mut start = Duration::ZERO;
    for (name, took) in phases {
        let Some(took) = took else { continue };
        let bar = bar(start, took, total);
        let line = format!("{name:<8}{:>10} ms  {bar}", millis(took));
        writeln!(text, "{}", line.trim_end()).expect("a string takes all text");
        start += took;
    }
    let how = match (timing.attempt, timing.reused) {
        (0, _) => "no attempt".to_owned(),
        (attempt, true) => format!("attempt {attempt}, connection reused"),
        (attempt, false) => format!("attempt {attempt}, new connection"),
    };
    writeln!(text, "{:<8}{:>10} ms  {how}", "total", millis(total)).expect("a string takes all text");
    text
}

/// The attempts, one to a line, if there was more than one: when each began, how long it took, what it came to.
pub(crate) fn attempts(attempts: &[Attempt]) -> String {
    let mut text = String::new();
    for (at, attempt) in attempts.iter().enumerate().filter(|_| attempts.len() > 1) {
        let outcome = match attempt.outcome {
            Ok(status) => status.as_u16().to_string(),
            Err(kind) => exit::name(kind).to_owned(),
        };
        let (reason, took) = (json::reason(attempt.reason), millis(attempt.took));
        writeln!(text, "#{:<7}{:>10} ms  {reason:<6}  {outcome} after {took} ms", at + 1, millis(attempt.started))
            .expect("a string takes all text");
    }
    text
}

fn bar(start: Duration, took: Duration, total: Duration) -> String {
    if total.is_zero() || took.is_zero() {
        return String::new();
    }
    let cells = |time: Duration| time.as_secs_f64() / total.as_secs_f64() * WIDTH as f64;
    let (from, to) = (cells(start).round() as usize, cells(start + took).round() as usize);
    // What is too short for a cell is still seen.
    let ink = if from < to { "█".repeat(to - from) } else { "▏".to_owned() };
    format!("{}{ink}", " ".repeat(from.min(WIDTH - 1)))
}

fn millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_follow_each_other_and_absent_phases_are_left_out() {
        let mut timing = Timing::default();
        timing.dns = Some(Duration::from_millis(25));
        timing.connect = Some(Duration::from_millis(25));
        timing.wait = Duration::from_millis(50);
        timing.attempt = 1;
        let expected = "\
before        0.00 ms
blocked       0.00 ms
dns          25.00 ms  ██████████
connect      25.00 ms            ██████████
send          0.00 ms
wait         50.00 ms                      ████████████████████
total       100.00 ms  attempt 1, new connection
";
        assert_eq!(render(&timing), expected);
    }

    #[test]
    fn short_phases_leave_a_trace_and_no_time_no_bar() {
        let second = Duration::from_secs(1);
        assert_eq!(bar(Duration::ZERO, Duration::from_micros(1), second), "▏");
        assert_eq!(bar(second, Duration::from_nanos(1), second).chars().count(), WIDTH);
        assert_eq!(bar(Duration::ZERO, Duration::ZERO, second), "");
        assert_eq!(bar(Duration::ZERO, second, second).chars().count(), WIDTH);
    }
}
