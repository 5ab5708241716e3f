//! Into OpenTelemetry: the only room that names it.

use std::fmt;
use std::sync::Arc;

use ::opentelemetry::metrics::{Counter, Gauge, Histogram, Meter, UpDownCounter};
use ::opentelemetry::{KeyValue, Value, global};
use netcomm_core::{Interest, Observation, Observe};

use super::instruments::{Kind, Metric, PORT};
use super::measures::{Admitted, Amount, Labels, Word, measure};
use super::{ORIGINS, wanted};

/// Records what happens into instruments of OpenTelemetry, under the names that [`Snapshot`](crate::Snapshot) uses, with dots:
/// those of its semantic conventions where there is one.
///
/// Histograms ask for the buckets that the conventions advise. At most 64 origins are told apart, those that come first. Each
/// observation with labels allocates them anew, as the interface wants it; [`Stats`](crate::Stats) does not.
#[derive(Clone)]
pub struct OpenTelemetryExporter {
    inner: Arc<Inner>,
}

struct Inner {
    admitted: Admitted,
    /// By number of the metric.
    instruments: Vec<Handle>,
}

enum Handle {
    Counter(Counter<u64>),
    Gauge(UpDownCounter<i64>),
    State(Gauge<u64>),
    Histogram(Histogram<f64>),
}

impl OpenTelemetryExporter {
    /// Records into the meter `netcomm` of the provider that is set for the whole program. Set it before: one that is set later is
    /// not seen.
    #[must_use]
    pub fn new() -> Self {
        let meter = global::meter("netcomm");
        let instruments = Metric::ALL.iter().map(|metric| build(&meter, *metric)).collect();
        Self { inner: Arc::new(Inner { admitted: Admitted::new(ORIGINS), instruments }) }
    }
}

impl Default for OpenTelemetryExporter {
    fn default() -> Self {
        Self::new()
    }
}

impl Observe for OpenTelemetryExporter {
    fn interest(&self) -> Interest {
        wanted()
    }

    fn observe(&self, observation: &Observation) {
        measure(&observation.event, &self.inner.admitted, |metric, labels, amount| {
            self.inner.instruments[metric as usize].take(labels, amount);
        });
    }
}

impl fmt::Debug for OpenTelemetryExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenTelemetryExporter").finish_non_exhaustive()
    }
}

impl Handle {
    fn take(&self, labels: Labels<'_>, amount: Amount) {
        let labels: Vec<_> = labels.iter().map(|(name, word)| KeyValue::new(name, value(name, word))).collect();
        match (self, amount) {
            (Self::Counter(counter), Amount::Add(count)) => counter.add(count, &labels),
            (Self::Gauge(gauge), Amount::Shift(by)) => gauge.add(by, &labels),
            (Self::State(gauge), Amount::Set(value)) => gauge.record(value, &labels),
            (Self::Histogram(histogram), Amount::Record(value)) => histogram.record(value, &labels),
            _ => {}
        }
    }
}

/// Ports and status codes are numbers in the conventions.
fn value(name: &str, word: Word<'_>) -> Value {
    match word {
        Word::Static(word) => word.into(),
        Word::Text(text) => {
            let port = if name == PORT { text.parse::<i64>().ok() } else { None };
            port.map_or_else(|| text.to_owned().into(), Value::I64)
        }
        Word::Number(number) if name == super::instruments::ERROR => number.to_string().into(),
        Word::Number(number) => Value::I64(i64::from(number)),
    }
}

fn build(meter: &Meter, metric: Metric) -> Handle {
    let it = metric.instrument();
    match it.kind {
        Kind::Counter => {
            Handle::Counter(meter.u64_counter(it.name).with_unit(it.unit).with_description(it.help).build())
        }
        Kind::Gauge => {
            Handle::Gauge(meter.i64_up_down_counter(it.name).with_unit(it.unit).with_description(it.help).build())
        }
        Kind::State => Handle::State(meter.u64_gauge(it.name).with_unit(it.unit).with_description(it.help).build()),
        Kind::Histogram(scale) => {
            let histogram = meter.f64_histogram(it.name).with_unit(it.unit).with_description(it.help);
            Handle::Histogram(histogram.with_boundaries(scale.told_ends()).build())
        }
    }
}
