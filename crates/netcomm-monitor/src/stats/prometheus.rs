//! The text that Prometheus reads: exposition format 0.0.4.

use std::fmt::{self, Write as _};

use super::families::{Family, Value};
use super::instruments::{Instrument, Kind};
use super::snapshot::{Histogram, Snapshot};

impl Snapshot {
    /// All numbers as the text exposition format 0.0.4 of Prometheus, to be served as `text/plain; version=0.0.4`.
    ///
    /// Names are those of OpenTelemetry with its rules for Prometheus: underscores for dots, the unit at the end (`_seconds`,
    /// `_bytes`), `_total` for what only grows. Labels are bounded: method, origin, status, kind of error, and words of
    /// netcomm. Some 40 kinds of numbers, about 1 KiB of text for each histogram in it.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        for family in self.families() {
            // A string takes whatever is written to it.
            let Ok(()) = write_family(&mut text, &family) else { continue };
        }
        text
    }
}

fn write_family(text: &mut String, family: &Family<'_>) -> fmt::Result {
    let instrument = family.metric.instrument();
    let name = name_of(&instrument);
    let kind = match instrument.kind {
        Kind::Counter => "counter",
        Kind::Gauge | Kind::State => "gauge",
        Kind::Histogram(_) => "histogram",
    };
    writeln!(text, "# HELP {name} {}", Escaped(instrument.help, false))?;
    writeln!(text, "# TYPE {name} {kind}")?;
    for point in &family.points {
        match &point.value {
            Value::Number(number) => writeln!(text, "{name}{} {number}", Labels(&point.labels, None))?,
            Value::Histogram(histogram) => write_histogram(text, &name, &point.labels, histogram)?,
        }
    }
    Ok(())
}

type Pairs = [(&'static str, String)];

fn write_histogram(text: &mut String, name: &str, labels: &Pairs, histogram: &Histogram) -> fmt::Result {
    for bucket in &histogram.buckets {
        let end = bucket.end.to_string();
        writeln!(text, "{name}_bucket{} {}", Labels(labels, Some(&end)), bucket.count)?;
    }
    writeln!(text, "{name}_bucket{} {}", Labels(labels, Some("+Inf")), histogram.count)?;
    writeln!(text, "{name}_sum{} {}", Labels(labels, None), histogram.sum)?;
    writeln!(text, "{name}_count{} {}", Labels(labels, None), histogram.count)
}

/// `http.client.request.duration` in seconds is `http_client_request_duration_seconds`.
fn name_of(instrument: &Instrument) -> String {
    let unit = match instrument.unit {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };
    let total = if instrument.kind == Kind::Counter { "_total" } else { "" };
    format!("{}{unit}{total}", instrument.name.replace('.', "_"))
}

/// Labels in braces, with the end of a bucket last; nothing where there are none.
struct Labels<'a>(&'a Pairs, Option<&'a str>);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.1.map(|end| ("le", end));
        let pairs = self.0.iter().map(|(name, value)| (*name, value.as_str())).chain(end);
        let mut before = '{';
        for (name, value) in pairs {
            f.write_char(before)?;
            name.chars().try_for_each(|c| f.write_char(if c == '.' { '_' } else { c }))?;
            write!(f, "=\"{}\"", Escaped(value, true))?;
            before = ',';
        }
        if before == '{' { Ok(()) } else { f.write_char('}') }
    }
}

/// A text in which lines do not end; between quotes these are escaped too.
struct Escaped<'a>(&'a str, bool);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '\\' => f.write_str("\\\\"),
            '\n' => f.write_str("\\n"),
            '"' if self.1 => f.write_str("\\\""),
            c => f.write_char(c),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        let pairs = [("a.b", "one \"two\"\\\nthree".to_owned())];
        assert_eq!(Labels(&pairs, None).to_string(), r#"{a_b="one \"two\"\\\nthree"}"#);
        assert_eq!(Labels(&pairs[..0], Some("0.5")).to_string(), r#"{le="0.5"}"#);
        assert_eq!(Labels(&[], None).to_string(), "");
        assert_eq!(Escaped("say \"x\"\\\n", false).to_string(), "say \"x\"\\\\\\n");
    }
}
