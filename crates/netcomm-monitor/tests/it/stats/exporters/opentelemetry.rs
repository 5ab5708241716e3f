//! Into OpenTelemetry, by its own exporter into memory.

use std::fmt::Debug;

use netcomm_monitor::OpenTelemetryExporter;
use opentelemetry::{KeyValue, Value, global};
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use super::super::prometheus::Labels;
use super::{everything, expected, flat, show};

fn labels<'a>(attributes: impl Iterator<Item = &'a KeyValue>) -> Labels {
    attributes.map(|it| (it.key.to_string(), it.value.to_string())).collect()
}

fn points<T: Copy + Debug>(data: &MetricData<T>, number: fn(T) -> f64) -> Vec<(Labels, f64, f64)> {
    match data {
        MetricData::Gauge(gauge) => {
            gauge.data_points().map(|it| (labels(it.attributes()), number(it.value()), 0.0)).collect()
        }
        MetricData::Sum(sum) => {
            sum.data_points().map(|it| (labels(it.attributes()), number(it.value()), 0.0)).collect()
        }
        MetricData::Histogram(histogram) => {
            let each = histogram.data_points();
            each.map(|it| (labels(it.attributes()), it.count() as f64, number(it.sum()))).collect()
        }
        MetricData::ExponentialHistogram(_) => panic!("nobody asked for {data:?}"),
    }
}

// One test, since the provider is the program's.
#[test]
fn the_provider_of_the_program_is_told_the_same() {
    let memory = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder().with_reader(PeriodicReader::builder(memory.clone()).build()).build();
    global::set_meter_provider(provider.clone());
    let exporter = OpenTelemetryExporter::new();
    show(&exporter, everything());
    provider.force_flush().unwrap();
    let finished = memory.get_finished_metrics().unwrap();
    let metrics: Vec<_> = finished.iter().flat_map(|it| it.scope_metrics()).flat_map(|it| it.metrics()).collect();
    let seen = flat(metrics.iter().flat_map(|metric| {
        let points = match metric.data() {
            AggregatedMetrics::F64(data) => points(data, |value| value),
            AggregatedMetrics::U64(data) => points(data, |value| value as f64),
            AggregatedMetrics::I64(data) => points(data, |value| value as f64),
        };
        points.into_iter().map(|(labels, value, sum)| (metric.name().to_owned(), labels, value, sum))
    }));
    assert_eq!(seen, expected());

    let duration = metrics.iter().find(|metric| metric.name() == "http.client.request.duration").unwrap();
    assert_eq!(duration.unit(), "s");
    let AggregatedMetrics::F64(MetricData::Histogram(histogram)) = duration.data() else { panic!("{duration:?}") };
    let point = histogram.data_points().next().unwrap();
    assert_eq!(point.bounds().count(), 14);
    let number = |name: &str| point.attributes().find(|it| it.key.as_str() == name).map(|it| it.value.clone());
    assert!(matches!(number("server.port"), Some(Value::I64(_))), "a port is a number");
}
