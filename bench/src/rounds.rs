//! Fair turns and what is made of them. Peers take turns in every round, and the round begins with
//! another peer each time, so that a change of the machine's mood meets all of them alike.

use crate::error::Result;

/// What one peer showed, a sample per round.
pub(crate) type Series<S> = Vec<S>;

/// Measures each peer once per round. The result is in the order of the peers.
pub(crate) fn interleave<P, S>(
    peers: &[P],
    rounds: usize,
    mut measure: impl FnMut(&P) -> Result<S>,
) -> Result<Vec<Series<S>>> {
    let mut series: Vec<Series<S>> = peers.iter().map(|_| Vec::with_capacity(rounds)).collect();
    for round in 0..rounds {
        for turn in 0..peers.len() {
            let at = (round + turn) % peers.len();
            series[at].push(measure(&peers[at])?);
        }
    }
    Ok(series)
}

/// One peer against the first: the ratio of each round, sorted.
pub(crate) fn ratios(first: &[f64], other: &[f64]) -> Vec<f64> {
    let mut ratios: Vec<f64> = other.iter().zip(first).map(|(x, one)| x / one).collect();
    ratios.sort_by(f64::total_cmp);
    ratios
}

/// The middle; of an even number the mean of the two in the middle. 0 of none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The values at one quarter and at three quarters of a sorted, non-empty list.
pub(crate) fn quartiles(sorted: &[f64]) -> [f64; 2] {
    let last = sorted.len() - 1;
    [sorted[last / 4], sorted[last - last / 4]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_round_begins_with_another_peer() {
        let mut seen = Vec::new();
        let series = interleave(&["a", "b", "c"], 2, |peer| {
            seen.push(*peer);
            Ok(seen.len())
        })
        .unwrap();
        assert_eq!(seen, ["a", "b", "c", "b", "c", "a"]);
        assert_eq!(series, [[1, 6], [2, 4], [3, 5]]);
    }

    #[test]
    fn ratios_are_those_of_the_same_round() {
        let ratios = ratios(&[10.0, 20.0, 40.0], &[5.0, 20.0, 10.0]);
        assert_eq!(ratios, [0.25, 0.5, 1.0]);
        assert_eq!(median(&ratios), 0.5);
        assert_eq!(median(&[1.0, 4.0]), 2.5);
        assert_eq!(quartiles(&[1.0, 2.0, 3.0, 4.0, 5.0]), [2.0, 4.0]);
        assert_eq!(quartiles(&[7.0]), [7.0, 7.0]);
    }
}
