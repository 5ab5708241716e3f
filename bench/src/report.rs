//! How results are told: a line per case and peer, for people or for machines.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::rounds;

/// Where lines go.
#[derive(Debug)]
pub(crate) struct Report {
    component: &'static str,
    is_json: bool,
}

/// What one peer showed in one case.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    /// To the first peer, which has 1.
    pub(crate) ratio: Option<f64>,
    /// A quarter of the rounds lies below, a quarter above.
    pub(crate) quartiles: Option<[f64; 2]>,
}

/// What a peer is meant to reach.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// The figure itself.
    Below(f64),
    AtMost(f64),
    /// Its ratio to the first peer.
    RatioAtMost(f64),
    RatioAtLeast(f64),
}

impl Target {
    fn is_met(self, figure: &Figure) -> bool {
        match self {
            Self::Below(most) => figure.value < most,
            Self::AtMost(most) => figure.value <= most,
            Self::RatioAtMost(most) => figure.ratio.is_some_and(|ratio| ratio <= most),
            Self::RatioAtLeast(least) => figure.ratio.is_some_and(|ratio| ratio >= least),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(most) => write!(f, "below {}", readable(*most)),
            Self::AtMost(most) => write!(f, "at most {}", readable(*most)),
            Self::RatioAtMost(most) => write!(f, "ratio at most {most}"),
            Self::RatioAtLeast(least) => write!(f, "ratio at least {least}"),
        }
    }
}

#[derive(Serialize)]
struct Line<'a> {
    component: &'a str,
    case: &'a str,
    peer: &'a str,
    value: f64,
    unit: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio_quartiles: Option<[f64; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_met: Option<bool>,
}

#[derive(Serialize)]
struct Silent<'a> {
    component: &'a str,
    case: &'a str,
    peer: &'a str,
    value: Option<f64>,
    unit: &'a str,
}

#[derive(Serialize)]
struct Skipped<'a> {
    component: &'a str,
    case: &'a str,
    skipped: &'a str,
}

impl Report {
    pub(crate) fn new(component: &'static str, is_json: bool) -> Self {
        Self { component, is_json }
    }

    /// A line for each peer.
    pub(crate) fn case(&self, case: &str, unit: &str, names: &[&str], figures: &[Figure]) -> Result<()> {
        self.case_with_targets(case, unit, names, figures, &[])
    }

    /// A line for each peer, with the targets of those that have one.
    pub(crate) fn case_with_targets(
        &self,
        case: &str,
        unit: &str,
        names: &[&str],
        figures: &[Figure],
        targets: &[(&str, Target)],
    ) -> Result<()> {
        for (peer, figure) in names.iter().zip(figures) {
            let target = targets.iter().find(|(whose, _)| whose == peer).map(|(_, target)| *target);
            self.line(case, unit, peer, figure, target)?;
        }
        Ok(())
    }

    fn line(&self, case: &str, unit: &str, peer: &str, figure: &Figure, target: Option<Target>) -> Result<()> {
        if self.is_json {
            let line = Line {
                component: self.component,
                case,
                peer,
                value: figure.value,
                unit,
                ratio: figure.ratio,
                ratio_quartiles: figure.quartiles,
                target: target.map(|target| target.to_string()),
                is_met: target.map(|target| target.is_met(figure)),
            };
            println!("{}", serde_json::to_string(&line)?);
            return Ok(());
        }
        let value = readable(figure.value);
        let ratio = figure.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let quartiles = figure.quartiles.map_or_else(String::new, |[low, high]| format!(" ({low:.2} to {high:.2})"));
        let target = target.map_or_else(String::new, |target| {
            format!("  {target}: {}", if target.is_met(figure) { "met" } else { "missed" })
        });
        let line =
            format!("{:<6} {case:<16} {peer:<18} {value:>10} {unit:<22} {ratio:>6}{quartiles}{target}", self.component);
        println!("{}", line.trim_end());
        Ok(())
    }

    /// A peer that shows nothing where the others do.
    pub(crate) fn silent(&self, case: &str, unit: &str, peer: &str) -> Result<()> {
        if self.is_json {
            let line = Silent { component: self.component, case, peer, value: None, unit };
            println!("{}", serde_json::to_string(&line)?);
        } else {
            println!("{:<6} {case:<16} {peer:<18} {:>10}", self.component, "none");
        }
        Ok(())
    }

    /// A case that cannot be measured here.
    pub(crate) fn skipped(&self, case: &str, reason: &str) -> Result<()> {
        if self.is_json {
            let line = Skipped { component: self.component, case, skipped: reason };
            println!("{}", serde_json::to_string(&line)?);
        } else {
            println!("{:<6} {case:<16} skipped: {reason}", self.component);
        }
        Ok(())
    }
}

/// Figures of single measurements, with the ratio of each to the first.
pub(crate) fn plain(values: &[f64]) -> Vec<Figure> {
    plain_to(values, 0)
}

/// The same with the ratio of each to that one.
pub(crate) fn plain_to(values: &[f64], measure: usize) -> Vec<Figure> {
    let one = values.get(measure).copied().unwrap_or(0.0);
    values
        .iter()
        .map(|value| Figure { value: *value, ratio: (one > 0.0).then(|| value / one), quartiles: None })
        .collect()
}

/// A figure beside which there is no other.
pub(crate) fn alone(value: f64) -> [Figure; 1] {
    [Figure { value, ratio: None, quartiles: None }]
}

/// Figures of rounds: medians, of the values and of the ratios within each round.
pub(crate) fn medians(series: &[rounds::Series<f64>]) -> Vec<Figure> {
    medians_to(series, 0)
}

/// The same with the ratios to that series.
pub(crate) fn medians_to(series: &[rounds::Series<f64>], measure: usize) -> Vec<Figure> {
    let Some(one) = series.get(measure) else {
        return Vec::new();
    };
    series
        .iter()
        .map(|values| {
            let ratios = rounds::ratios(one, values);
            let is_measure = std::ptr::eq(values, one);
            Figure {
                value: rounds::median(values),
                ratio: Some(rounds::median(&ratios)),
                quartiles: (!is_measure && ratios.len() > 2).then(|| rounds::quartiles(&ratios)),
            }
        })
        .collect()
}

/// Whole numbers in groups of three; small ones with a decimal.
fn readable(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut out = String::from(if value < 0.0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people() {
        for (value, text) in
            [(0.0, "0.0"), (15.04, "15.0"), (100.0, "100"), (28_077.4, "28 077"), (-1_234_567.0, "-1 234 567")]
        {
            assert_eq!(readable(value), text);
        }
    }

    #[test]
    fn the_first_peer_is_the_measure() {
        let ratios: Vec<_> = plain(&[20.0, 30.0]).iter().map(|f| f.ratio).collect();
        assert_eq!(ratios, [Some(1.0), Some(1.5)]);
        assert_eq!(plain(&[0.0, 1.0])[1].ratio, None);
        let figures = medians(&[vec![1.0, 2.0, 4.0], vec![2.0, 4.0, 4.0]]);
        assert_eq!(figures[0].quartiles, None);
        assert_eq!(figures[1].value, 4.0);
        assert_eq!(figures[1].ratio, Some(2.0));
    }

    #[test]
    fn another_may_be_the_measure() {
        let ratios: Vec<_> = plain_to(&[20.0, 10.0], 1).iter().map(|f| f.ratio).collect();
        assert_eq!(ratios, [Some(2.0), Some(1.0)]);
        let figures = medians_to(&[vec![1.0, 2.0, 4.0], vec![2.0, 4.0, 4.0]], 1);
        assert_eq!(figures[0].ratio, Some(0.5));
        assert_eq!((figures[0].quartiles, figures[1].quartiles), (Some([0.5, 1.0]), None));
    }

    #[test]
    fn a_target_is_met_or_missed() {
        let [_, half] = &plain(&[10.0, 5.0])[..] else { panic!("two figures") };
        for (target, text, is_met) in [
            (Target::Below(5.0), "below 5.0", false),
            (Target::AtMost(5.0), "at most 5.0", true),
            (Target::Below(10_000.0), "below 10 000", true),
            (Target::RatioAtMost(0.5), "ratio at most 0.5", true),
            (Target::RatioAtLeast(0.6), "ratio at least 0.6", false),
        ] {
            assert_eq!((target.to_string().as_str(), target.is_met(half)), (text, is_met));
        }
        assert!(!Target::RatioAtMost(2.0).is_met(&alone(1.0)[0]));
    }
}
