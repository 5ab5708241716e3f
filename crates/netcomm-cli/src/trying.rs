//! Trying again, and pace: what the options say of both, for calls and for the proxy.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use netcomm::http::{Budget, ClientBuilder, Concurrency, Rate, Retry};

use crate::args::Trying;

/// Bytes of a body that can be read only once, such as stdin or a client's content, which are kept so that it can be sent
/// again.
const SPOOL_BYTES: usize = 64 << 10;

/// The client with these options.
pub(crate) fn apply(mut builder: ClientBuilder, trying: &Trying) -> ClientBuilder {
    if let Some(attempts) = trying.retry {
        builder = builder.retry(retry(attempts, trying.retry_max_time));
    }
    if let Some(rate) = trying.rate {
        builder = builder.rate(rate);
    }
    if let Some(concurrency) = trying.concurrency {
        builder = builder.concurrency(concurrency);
    }
    builder
}

/// The budget of one call: whoever names a number of attempts for it means that many.
pub(crate) fn budget_of_call(trying: &Trying) -> Budget {
    let usual = Budget::default();
    usual.with_reserve(usual.reserve.max(trying.retry.unwrap_or(1)))
}

fn retry(attempts: u32, max_time: Option<Duration>) -> Retry {
    let retry = Retry::default().attempts(attempts).spool(SPOOL_BYTES);
    match max_time {
        // Whoever is patient is so with what a server asks for, too.
        Some(most) => retry.elapsed(most).max_wait(most),
        None => retry,
    }
}

/// `10/s`, `90/m`, and `10/s,3` for three at once.
pub(crate) fn rate(text: &str) -> Result<Rate, String> {
    let wrong = || "must be N/s or N/m, and ,BURST behind it if need be".to_owned();
    let number = |text: &str| text.parse::<NonZeroU32>().map_err(|_| wrong());
    let (rate, burst) = match text.split_once(',') {
        Some((rate, burst)) => (rate, Some(number(burst)?)),
        None => (text, None),
    };
    let rate = match rate.split_once('/') {
        Some((count, "s")) => Rate::per_second(number(count)?),
        Some((count, "m")) => Rate::per_minute(number(count)?),
        _ => return Err(wrong()),
    };
    Ok(burst.map_or(rate, |burst| rate.with_burst(burst)))
}

/// A number, or `adaptive` for what is found out by trying.
pub(crate) fn concurrency(text: &str) -> Result<Concurrency, String> {
    match text.parse::<NonZeroUsize>() {
        Ok(places) => Ok(Concurrency::fixed(places)),
        Err(_) if text == "adaptive" => Ok(Concurrency::adaptive()),
        Err(_) => Err("must be a number from 1 on, or adaptive".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates() {
        let of = |count| NonZeroU32::new(count).expect("not zero");
        for (text, expected) in [
            ("10/s", Rate::per_second(of(10))),
            ("90/m", Rate::per_minute(of(90))),
            ("10/s,3", Rate::per_second(of(10)).with_burst(of(3))),
            ("1/m,60", Rate::per_minute(of(1)).with_burst(of(60))),
        ] {
            assert_eq!(rate(text), Ok(expected), "{text}");
        }
        for wrong in
            ["", "10", "/s", "0/s", "-1/s", "1.5/s", "10/h", "10/S", "10/s,", "10/s,0", "10/s,1,2", "10 /s", "x/s"]
        {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn concurrencies() {
        assert_eq!(concurrency("8"), Ok(Concurrency::fixed(NonZeroUsize::new(8).expect("not zero"))));
        assert_eq!(concurrency("adaptive"), Ok(Concurrency::adaptive()));
        for wrong in ["", "0", "-1", "1.5", "Adaptive", "many"] {
            assert!(concurrency(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_call_that_may_be_tried_often_can_pay_for_it() {
        let of = |retry| {
            let trying = Trying { retry, retry_max_time: None, rate: None, concurrency: None };
            budget_of_call(&trying).reserve
        };
        assert_eq!((of(None), of(Some(3)), of(Some(50))), (10, 10, 50));
    }
}
