//! How results are told: a line per case and peer, for people or for machines.

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
        for (peer, figure) in names.iter().zip(figures) {
            self.line(case, unit, peer, figure)?;
        }
        Ok(())
    }

    fn line(&self, case: &str, unit: &str, peer: &str, figure: &Figure) -> Result<()> {
        if self.is_json {
            let line = Line {
                component: self.component,
                case,
                peer,
                value: figure.value,
                unit,
                ratio: figure.ratio,
                ratio_quartiles: figure.quartiles,
            };
            println!("{}", serde_json::to_string(&line)?);
            return Ok(());
        }
        let value = readable(figure.value);
        let ratio = figure.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let quartiles = figure.quartiles.map_or_else(String::new, |[low, high]| format!(" ({low:.2} to {high:.2})"));
        let line = format!("{:<6} {case:<16} {peer:<14} {value:>10} {unit:<22} {ratio:>6}{quartiles}", self.component);
        println!("{}", line.trim_end());
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
    let first = values.first().copied().unwrap_or(0.0);
    values
        .iter()
        .map(|value| Figure { value: *value, ratio: (first > 0.0).then(|| value / first), quartiles: None })
        .collect()
}

/// Figures of rounds: medians, of the values and of the ratios within each round.
pub(crate) fn medians(series: &[rounds::Series<f64>]) -> Vec<Figure> {
    let Some(first) = series.first() else {
        return Vec::new();
    };
    series
        .iter()
        .map(|values| {
            let ratios = rounds::ratios(first, values);
            let is_first = std::ptr::eq(values, first);
            Figure {
                value: rounds::median(values),
                ratio: Some(rounds::median(&ratios)),
                quartiles: (!is_first && ratios.len() > 2).then(|| rounds::quartiles(&ratios)),
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
}
