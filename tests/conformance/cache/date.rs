//! Dates that a case names by their distance from the moment at which the origin answered.

use std::time::{Duration, UNIX_EPOCH};

const LONG_DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// The date `offset` seconds from `now`, milliseconds since 1970, in the form that all prefer (RFC 9110 §5.6.7).
pub(crate) fn imf_fixdate(now: u64, offset: i64) -> String {
    let seconds = (now / 1000).saturating_add_signed(offset);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// The same in the obsolete form of RFC 850: `Sunday, 06-Nov-94 08:49:37 GMT`.
pub(crate) fn rfc850(now: u64, offset: i64) -> String {
    let date = imf_fixdate(now, offset);
    let mut words = date.split(' ');
    let mut word = || words.next().unwrap_or_default();
    let (short, day, month, year, time) = (word(), word(), word(), word(), word());
    let long = LONG_DAYS.into_iter().find(|long| short.starts_with(&long[..3])).unwrap_or_default();
    format!("{long}, {day}-{month}-{} {time} GMT", year.get(2..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_printed_in_both_forms() {
        let now = 784_111_777_999;
        assert_eq!(imf_fixdate(now, 0), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(imf_fixdate(now, -37), "Sun, 06 Nov 1994 08:49:00 GMT");
        assert_eq!(imf_fixdate(now, 24 * 3600), "Mon, 07 Nov 1994 08:49:37 GMT");
        assert_eq!(rfc850(now, 0), "Sunday, 06-Nov-94 08:49:37 GMT");
        assert_eq!(rfc850(now, 3 * 24 * 3600), "Wednesday, 09-Nov-94 08:49:37 GMT");
    }
}
