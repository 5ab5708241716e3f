//! Into the crate metrics: the only room that names it.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, PoisonError, RwLock};

use ::metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString, Unit};
use netcomm_core::{Interest, Observation, Observe};

use super::instruments::{Kind, Metric};
use super::measures::{Admitted, Amount, Labels, Word, measure};
use super::{ORIGINS, wanted};

/// Records what happens into a recorder of the crate metrics, under the names that [`Snapshot`](crate::Snapshot) uses, with dots.
///
/// Handles are registered once and kept: those without labels at the beginning, the other ones when their labels are met first.
/// After that an observation costs a look into a table under a lock for reading, and what the recorder takes. At most 64 origins
/// are told apart, those that come first, and at most 4096 combinations of labels; the rest is recorded with the label
/// `otel.metric.overflow`.
#[derive(Clone)]
pub struct MetricsExporter {
    inner: Arc<Inner>,
}

struct Inner {
    recorder: Option<Box<dyn Recorder + Send + Sync>>,
    admitted: Admitted,
    /// By number of the metric, without labels.
    plain: Vec<Handle>,
    /// By number of the metric, for what found no place below.
    overflow: Vec<Handle>,
    hasher: RandomState,
    /// By 64 bits drawn from metric and labels, with a key of this process.
    labelled: RwLock<HashMap<u64, Handle>>,
}

#[derive(Clone)]
enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

const MOST_HANDLES: usize = 4096;
const OVERFLOW: &str = "otel.metric.overflow";

impl MetricsExporter {
    /// Records into the recorder that is installed for the whole program, or for this thread. Install it before: what is registered
    /// with none is recorded nowhere.
    #[must_use]
    pub fn new() -> Self {
        Self::into(None)
    }

    /// Records into that recorder. Names a trait of the crate metrics 0.24.
    #[must_use]
    pub fn with_recorder(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self::into(Some(Box::new(recorder)))
    }

    fn into(recorder: Option<Box<dyn Recorder + Send + Sync>>) -> Self {
        let all = |label: Option<Label>| {
            let register = |recorder: &dyn Recorder| {
                Metric::ALL.iter().map(|metric| register(recorder, *metric, label.iter().cloned().collect())).collect()
            };
            with(recorder.as_deref(), register)
        };
        with(recorder.as_deref(), |recorder| Metric::ALL.iter().for_each(|metric| describe(recorder, *metric)));
        let (plain, overflow) = (all(None), all(Some(Label::from_static_parts(OVERFLOW, "true"))));
        let inner = Inner {
            recorder,
            admitted: Admitted::new(ORIGINS),
            plain,
            overflow,
            hasher: RandomState::new(),
            labelled: RwLock::default(),
        };
        Self { inner: Arc::new(inner) }
    }
}

impl Default for MetricsExporter {
    fn default() -> Self {
        Self::new()
    }
}

impl Observe for MetricsExporter {
    fn interest(&self) -> Interest {
        wanted()
    }

    fn observe(&self, observation: &Observation) {
        measure(&observation.event, &self.inner.admitted, |metric, labels, amount| {
            self.inner.take(metric, labels, amount);
        });
    }
}

impl fmt::Debug for MetricsExporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_own = self.inner.recorder.is_some();
        f.debug_struct("MetricsExporter").field("has_own_recorder", &is_own).finish_non_exhaustive()
    }
}

impl Inner {
    fn take(&self, metric: Metric, labels: Labels<'_>, amount: Amount) {
        if labels.is_empty() {
            return self.plain[metric as usize].take(amount);
        }
        let mark = self.hasher.hash_one((metric as usize, labels));
        {
            let handles = self.labelled.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(handle) = handles.get(&mark) {
                return handle.take(amount);
            }
        }
        self.meet(mark, metric, labels).take(amount);
    }

    #[cold]
    fn meet(&self, mark: u64, metric: Metric, labels: Labels<'_>) -> Handle {
        let handles = self.labelled.read().unwrap_or_else(PoisonError::into_inner).len();
        if handles >= MOST_HANDLES {
            return self.overflow[metric as usize].clone();
        }
        let labels = labels.iter().map(|(name, word)| Label::new(name, text(word))).collect();
        // The recorder is foreign code: it is not called under the lock.
        let handle = with(self.recorder.as_deref(), |recorder| register(recorder, metric, labels));
        let mut handles = self.labelled.write().unwrap_or_else(PoisonError::into_inner);
        handles.entry(mark).or_insert(handle).clone()
    }
}

impl Handle {
    fn take(&self, amount: Amount) {
        match (self, amount) {
            (Self::Counter(counter), Amount::Add(count)) => counter.increment(count),
            (Self::Gauge(gauge), Amount::Shift(by)) => gauge.increment(by as f64),
            (Self::Gauge(gauge), Amount::Set(value)) => gauge.set(value as f64),
            (Self::Histogram(histogram), Amount::Record(value)) => histogram.record(value),
            _ => {}
        }
    }
}

fn with<T>(own: Option<&(dyn Recorder + Send + Sync)>, call: impl FnOnce(&dyn Recorder) -> T) -> T {
    match own {
        Some(own) => call(own),
        None => ::metrics::with_recorder(call),
    }
}

const METADATA: Metadata<'static> = Metadata::new("netcomm", Level::INFO, Some("netcomm"));

fn register(recorder: &dyn Recorder, metric: Metric, labels: Vec<Label>) -> Handle {
    let instrument = metric.instrument();
    let key = Key::from_parts(instrument.name, labels);
    match instrument.kind {
        Kind::Counter => Handle::Counter(recorder.register_counter(&key, &METADATA)),
        Kind::Gauge | Kind::State => Handle::Gauge(recorder.register_gauge(&key, &METADATA)),
        Kind::Histogram(_) => Handle::Histogram(recorder.register_histogram(&key, &METADATA)),
    }
}

fn describe(recorder: &dyn Recorder, metric: Metric) {
    let instrument = metric.instrument();
    let unit = match instrument.unit {
        "s" => Unit::Seconds,
        "By" => Unit::Bytes,
        _ => Unit::Count,
    };
    let (name, help) = (instrument.name.into(), SharedString::from(instrument.help));
    match instrument.kind {
        Kind::Counter => recorder.describe_counter(name, Some(unit), help),
        Kind::Gauge | Kind::State => recorder.describe_gauge(name, Some(unit), help),
        Kind::Histogram(_) => recorder.describe_histogram(name, Some(unit), help),
    }
}

fn text(word: Word<'_>) -> SharedString {
    match word {
        Word::Static(word) => SharedString::from(word),
        Word::Text(text) => SharedString::from(text.to_owned()),
        Word::Number(number) => SharedString::from(number.to_string()),
    }
}
