//! Points in time as HAR writes them. The only room that names `jiff`.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// ISO 8601 in UTC, with milliseconds. What no calendar holds becomes its beginning.
pub(super) fn iso(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{at:.3}")
}

/// Seconds since 1970.
pub(super) fn seconds(at: SystemTime) -> f64 {
    let at = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    at.as_microsecond() as f64 / 1e6
}

/// A date of HTTP in ISO 8601; `None` if it is none.
pub(super) fn iso_of_http(date: &str) -> Option<String> {
    // Netscape's dashes are still about.
    let date = date.replace('-', " ");
    DateTimeParser::new().parse_timestamp(&date).ok().map(|at| format!("{at:.3}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_iso_with_milliseconds() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(784_111_777_042);
        assert_eq!(iso(at), "1994-11-06T08:49:37.042Z");
        assert!((seconds(at) - 784_111_777.042).abs() < 1e-4);
        for date in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06-Nov-1994 08:49:37 GMT"] {
            assert_eq!(iso_of_http(date).as_deref(), Some("1994-11-06T08:49:37.000Z"), "{date}");
        }
        assert_eq!(iso_of_http("soon"), None);
    }
}
