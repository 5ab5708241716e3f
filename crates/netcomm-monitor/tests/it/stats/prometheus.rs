//! The text for Prometheus, read by a parser that forgives nothing.

mod parser;

use std::collections::BTreeMap;

use parser::{Kind, Scrape};

pub(super) use self::parser::Labels;

use super::{A, after, attempt, everything, millis};

pub(super) fn scrape() -> Scrape {
    let text = after(everything()).to_prometheus();
    parser::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_text_is_what_the_format_asks_for() {
    let scrape = scrape();
    assert_eq!(scrape.len(), 45);
    for (name, family) in &scrape {
        let is_total = name.ends_with("_total");
        assert_eq!(is_total, family.kind == Kind::Counter, "{name}");
    }
}

#[test]
fn nothing_counted_is_a_text_as_well() {
    let text = after([]).to_prometheus();
    let scrape = parser::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(scrape["netcomm_http_cache_hits_total"].samples[&labels(&[])], 0.0);
}

#[test]
fn names_and_labels_are_those_of_opentelemetry() {
    let scrape = scrape();
    let family = &scrape["http_client_request_duration_seconds"];
    assert_eq!(family.kind, Kind::Histogram);
    let request = labels(&[
        ("http_request_method", "GET"),
        ("server_address", "a.example"),
        ("server_port", "443"),
        ("http_response_status_code", "503"),
        ("error_type", "503"),
        ("network_protocol_version", "1.1"),
    ]);
    let histogram = &family.histograms[&request];
    assert_eq!((histogram.count, histogram.sum), (1.0, 0.03));
    assert_eq!(histogram.buckets.len(), 15);
    assert!(histogram.buckets.contains(&(0.025, 0.0)) && histogram.buckets.contains(&(0.05, 1.0)));
    let failed = labels(&[
        ("http_request_method", "GET"),
        ("server_address", "b.example"),
        ("server_port", "8080"),
        ("error_type", "timeout"),
    ]);
    assert_eq!(family.histograms[&failed].count, 1.0);
    let open = &scrape["http_client_open_connections"].samples;
    assert_eq!(open[&labels(&[("server_address", "a.example"), ("server_port", "443")])], 1.0);
    assert_eq!(open[&labels(&[("server_address", "_OTHER")])], 0.0);
    assert_eq!(scrape["netcomm_ws_payload_bytes_total"].samples[&labels(&[("netcomm_direction", "received")])], 13.0);
}

#[test]
fn no_url_no_path_and_no_reason_text_is_a_label() {
    let text = after(everything()).to_prometheus();
    for word in ["://", "/path", "public suffix", "192.0.2.1", "c.example"] {
        assert!(!text.contains(word), "{word} in\n{text}");
    }
}

#[test]
fn a_name_that_would_break_the_text_is_escaped() {
    let text = after([attempt("https://a\"b\\c\nd:443", Ok(200), millis(1))]).to_prometheus();
    let scrape = parser::parse(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let family = &scrape["netcomm_connections_opened_total"];
    assert!(family.samples.contains_key(&labels(&[("server_address", "a\"b\\c\nd"), ("server_port", "443")])));
}

#[test]
fn the_parser_forgives_nothing() {
    let good = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n";
    assert!(parser::parse(good).is_ok());
    for bad in [
        "a_total 1\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total 1",
        "# HELP a_total A.\n# TYPE a_total counter\na_total 1\na_total 2\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total{x=1} 1\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total{x.y=\"1\"} 1\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"a\"b\"} 1\n",
        "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\",x=\"2\"} 1\n",
        "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n",
        "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n",
    ] {
        assert!(parser::parse(bad).is_err(), "{bad}");
    }
    assert!(parser::parse(&good.replace("a_total", A)).is_err());
}
