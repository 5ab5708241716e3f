//! What other libraries are told is what `Stats` tells: the same names, labels and numbers.

#[cfg(feature = "metrics")]
mod metrics;
#[cfg(feature = "opentelemetry")]
mod opentelemetry;

use std::collections::BTreeMap;
use std::time::Instant;

use netcomm_core::{Event, Observation, Observe};

use super::prometheus::{Labels, scrape};
use super::{attempt, everything, millis};

/// A value, or how many values there are; and their sum.
type Flat = BTreeMap<(String, Labels), (f64, f64)>;

/// By plain names, without what is zero.
fn flat(amounts: impl IntoIterator<Item = (String, Labels, f64, f64)>) -> Flat {
    let named = amounts.into_iter().map(|(name, labels, value, sum)| {
        let name = name.replace('.', "_");
        let labels = labels.into_iter().map(|(label, word)| (label.replace('.', "_"), word));
        ((name, labels.collect()), (value, (sum * 1e6).round() / 1e6))
    });
    named.filter(|(_, (value, _))| *value != 0.0).collect()
}

/// What `Stats` tells of everything.
fn expected() -> Flat {
    flat(scrape().into_iter().flat_map(|(name, family)| {
        let name = name.strip_suffix("_total").unwrap_or(&name).to_owned();
        let name = name.strip_suffix("_seconds").or_else(|| name.strip_suffix("_bytes")).unwrap_or(&name).to_owned();
        let samples = family.samples.into_iter().map(|(labels, value)| (labels, value, 0.0));
        let histograms = family.histograms.into_iter().map(|(labels, whole)| (labels, whole.count, whole.sum));
        let all: Vec<_> = samples.chain(histograms).collect();
        all.into_iter().map(move |(labels, value, sum)| (name.clone(), labels, value, sum))
    }))
}

fn show(observer: &impl Observe, events: impl IntoIterator<Item = Event>) {
    for event in events {
        observer.observe(&Observation::new(Instant::now(), event));
    }
}

/// The same at another one: more than may have labels of their own.
fn crowd() -> impl Iterator<Item = Event> {
    (0..100).map(|number| attempt(&format!("https://{number}.example:443"), Ok(200), millis(1)))
}
