//! Into the crate metrics, by its own recorder for tests.

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use netcomm_core::{Event, Interest, Observe};
use netcomm_monitor::MetricsExporter;

use super::super::connected;
use super::{Flat, crowd, everything, expected, flat, show};

fn exporter() -> (MetricsExporter, Snapshotter) {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    (MetricsExporter::with_recorder(recorder), snapshotter)
}

fn seen(snapshotter: &Snapshotter) -> Flat {
    flat(snapshotter.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
        let (_, key) = key.into_parts();
        let labels = key.labels().map(|label| (label.key().to_owned(), label.value().to_owned()));
        let (value, sum) = match value {
            DebugValue::Counter(count) => (count as f64, 0.0),
            DebugValue::Gauge(value) => (value.into_inner(), 0.0),
            DebugValue::Histogram(values) => (values.len() as f64, values.iter().map(|it| it.into_inner()).sum()),
        };
        (key.name().to_owned(), labels.collect(), value, sum)
    }))
}

#[test]
fn a_recorder_is_told_the_same() {
    let (exporter, snapshotter) = exporter();
    show(&exporter, everything());
    assert_eq!(seen(&snapshotter), expected());
}

#[test]
fn each_has_a_unit_and_a_description() {
    let (_exporter, snapshotter) = exporter();
    for (key, unit, description, _) in snapshotter.snapshot().into_vec() {
        assert!(unit.is_some() && description.is_some(), "{key:?}");
    }
}

#[test]
fn the_recorder_of_the_program_is_the_default() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || show(&MetricsExporter::new(), everything()));
    assert_eq!(seen(&snapshotter), expected());
}

#[test]
fn origins_are_bounded_and_contents_not_wanted() {
    let (exporter, snapshotter) = exporter();
    show(&exporter, crowd());
    let mut origins = seen(&snapshotter);
    origins.retain(|(name, _), _| name == "http_client_request_duration");
    let rest = origins.iter().find(|((_, labels), _)| labels["server_address"] == "_OTHER");
    assert_eq!((origins.len(), rest.map(|(_, (count, _))| *count)), (65, Some(36.0)));
    assert!(!exporter.interest().contains(Interest::CONTENT));
}

#[test]
fn handles_are_bounded() {
    let (exporter, snapshotter) = exporter();
    let statuses = (100..1000).flat_map(|status| {
        let origins = (0..10).map(move |number| format!("https://{number}.example:443"));
        origins.map(move |origin| super::attempt(&origin, Ok(status), super::millis(1)))
    });
    show(&exporter, statuses);
    let seen = seen(&snapshotter);
    let overflow = seen.iter().find(|((_, labels), _)| labels.contains_key("otel_metric_overflow"));
    assert_eq!(overflow.map(|(_, (count, _))| *count), Some(9000.0 - 4096.0));
}

#[test]
fn a_known_combination_of_labels_allocates_nothing() {
    let exporter = MetricsExporter::with_recorder(metrics::NoopRecorder);
    show(&exporter, everything());
    let events: Vec<Event> = everything().into_iter().chain([connected(super::super::A)]).collect();
    let asked = allocation_counter::measure(|| show(&exporter, events.clone()));
    let cloned = allocation_counter::measure(|| drop(events.clone()));
    assert_eq!(asked.count_total, cloned.count_total);
}
