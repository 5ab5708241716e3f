//! Asking a host, named by the application, whether the network leads to it.

mod answer;
mod exchange;
mod legs;

use std::time::Duration;

use netcomm_core::{AddressFamily, Error, ErrorKind, Result};
use serde::Serialize;
use url::Url;

pub(crate) use self::legs::run;
use crate::reach::Found;

/// What is asked to learn whether the network leads anywhere, and what the answer must be.
///
/// Nobody is probed whom the application has not named. The URL should be one whose answers hold nothing but a status: a
/// plain `http` one finds portals, which cannot feign `https`. A host that serves it for many should answer without a body
/// and with `Cache-Control: no-store`.
///
/// # Examples
///
/// ```
/// use netcomm_monitor::Probe;
///
/// let probe = Probe::new("http://probe.example/generate_204")?.with_challenge();
/// # assert!(Probe::new("ftp://probe.example/").is_err());
/// # Ok::<(), netcomm_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Probe {
    url: Url,
    by_address: Option<Url>,
    expect: Expect,
    timeout: Duration,
    try_after: Duration,
}

/// What the answer must be.
#[derive(Clone, Debug)]
enum Expect {
    NoContent,
    Challenge { request: http::HeaderName, response: http::HeaderName },
}

impl Probe {
    /// Asks for that URL, and expects a 204 (No Content).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is no absolute URL of `http` or `https`.
    pub fn new(url: impl AsRef<str>) -> Result<Self> {
        Ok(Self {
            url: checked(url.as_ref())?,
            by_address: None,
            expect: Expect::NoContent,
            timeout: Duration::from_secs(5),
            try_after: Duration::from_secs(1),
        })
    }

    /// Sends a random word in `X-Netcomm-Challenge`, and expects beside the 204 `response ` and that word in
    /// `X-Netcomm-Response`: a portal that answers everything with a 204 does not know to.
    #[must_use]
    pub fn with_challenge(self) -> Self {
        self.with_challenge_in(
            http::HeaderName::from_static("x-netcomm-challenge"),
            http::HeaderName::from_static("x-netcomm-response"),
        )
    }

    /// As [`with_challenge`](Self::with_challenge), in other header fields.
    #[must_use]
    pub fn with_challenge_in(mut self, request: http::HeaderName, response: http::HeaderName) -> Self {
        self.expect = Expect::Challenge { request, response };
        self
    }

    /// Asked where the name cannot be resolved: a URL whose host is an address, under the same terms. Tells a network
    /// without names ([`Limited`](netcomm_core::Reach::Limited)) from no network.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] if it is no URL of `http` or `https` whose host is an address.
    pub fn with_address_url(mut self, url: impl AsRef<str>) -> Result<Self> {
        let url = checked(url.as_ref())?;
        if !matches!(url.host(), Some(url::Host::Ipv4(_) | url::Host::Ipv6(_))) {
            return Err(invalid("the host of an address URL must be an address").with_url(url.as_str()));
        }
        self.by_address = Some(url);
        Ok(self)
    }

    /// For how long an answer is waited for. Default 5 s.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// After how long without an answer another try is begun beside those that wait; after three that were refused none
    /// is. Default 1 s: over a network that
    /// loses one packet in five a probe fails in one of 20 000 cases.
    #[must_use]
    pub const fn with_try_after(mut self, try_after: Duration) -> Self {
        self.try_after = try_after;
        self
    }
}

fn checked(text: &str) -> Result<Url> {
    let url = Url::parse(text).map_err(|error| invalid("not an absolute URL").with_url(text).with_source(error))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(invalid("a probe speaks http or https").with_url(text));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(invalid("no host").with_url(text));
    }
    Ok(url)
}

fn invalid(detail: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, "set up probe").with_detail(detail)
}

/// What one way to the host brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Answer {
    /// The answer that was expected.
    Good,
    /// An answer of somebody else, in the place of whoever was asked.
    Portal {
        /// Where it sends those who ask, without query.
        location: Option<String>,
    },
    /// An answer that says nothing either way: the host itself is in trouble.
    Unclear {
        /// Its status.
        status: u16,
    },
    /// No answer.
    None {
        /// Why, in words.
        error: &'static str,
        /// Whether it was the name that led nowhere.
        is_name: bool,
    },
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ProbeReport {
    /// Over IPv4; `None` if that was not tried: there is no path for it, or the host has no such address.
    pub v4: Option<Answer>,
    /// Over IPv6; `None` if that was not tried.
    pub v6: Option<Answer>,
    /// By address, where the name led nowhere.
    pub by_address: Option<Answer>,
    /// How long it took, from the beginning to the first good answer, or to the last one.
    pub took: Duration,
}

impl ProbeReport {
    /// How the answers of all ways are read together.
    pub(crate) fn found(&self) -> Found {
        let ways = [&self.v4, &self.v6, &self.by_address].into_iter().flatten();
        let is = |way: &Option<Answer>, matches: fn(&Answer) -> bool| way.as_ref().is_some_and(matches);
        let is_good = |answer: &Answer| *answer == Answer::Good;
        let fails = |answer: &Answer| matches!(answer, Answer::None { .. });
        if ways.clone().any(|answer| matches!(answer, Answer::Portal { .. })) {
            Found::Portal
        } else if is(&self.v4, is_good) || (self.v4.is_none() && is(&self.v6, is_good)) {
            Found::Good
        } else if is(&self.v6, is_good) {
            if is(&self.v4, fails) { Found::NoIpv4 } else { Found::Good }
        } else if ways.clone().any(|answer| matches!(answer, Answer::Unclear { .. })) {
            Found::Unclear
        } else if is(&self.by_address, is_good) {
            Found::NoNames
        } else {
            Found::Nothing
        }
    }

    /// Where a portal sends those who ask, without query; `None` without a portal, or if it did not say.
    #[must_use]
    pub fn portal(&self) -> Option<&str> {
        [&self.v4, &self.v6, &self.by_address].into_iter().flatten().find_map(|answer| match answer {
            Answer::Portal { location } => location.as_deref(),
            _ => None,
        })
    }

    pub(crate) fn way(&mut self, family: AddressFamily) -> &mut Option<Answer> {
        match family {
            AddressFamily::V4 => &mut self.v4,
            AddressFamily::V6 => &mut self.v6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> Answer {
        Answer::None { error: "timed out", is_name: false }
    }

    #[test]
    fn ways_are_read_together() {
        let good = || Some(Answer::Good);
        let portal = || Some(Answer::Portal { location: Some("http://login.example/".to_owned()) });
        let unclear = || Some(Answer::Unclear { status: 503 });
        let no = || Some(none());
        for (v4, v6, by_address, expected) in [
            (good(), None, None, Found::Good),
            (good(), good(), None, Found::Good),
            (good(), no(), None, Found::Good),
            (None, good(), None, Found::Good),
            (no(), good(), None, Found::NoIpv4),
            (unclear(), good(), None, Found::Good),
            (portal(), good(), None, Found::Portal),
            (good(), portal(), None, Found::Portal),
            (unclear(), no(), None, Found::Unclear),
            (no(), no(), None, Found::Nothing),
            (no(), no(), good(), Found::NoNames),
            (no(), None, no(), Found::Nothing),
            (no(), None, portal(), Found::Portal),
            (None, None, None, Found::Nothing),
        ] {
            let report = ProbeReport { v4, v6, by_address, took: Duration::ZERO };
            assert_eq!(report.found(), expected, "{report:?}");
            assert_eq!(report.portal().is_some(), expected == Found::Portal);
        }
    }

    #[test]
    fn a_probe_is_checked_when_it_is_made() {
        for url in ["", "probe.example", "ftp://probe.example/", "http://", "/generate_204"] {
            let error = Probe::new(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Invalid);
        }
        let probe = Probe::new("http://probe.example/204").expect("a URL");
        assert!(probe.clone().with_address_url("http://192.0.2.1/204").is_ok());
        assert!(probe.clone().with_address_url("http://[2001:db8::1]/204").is_ok());
        assert!(probe.with_address_url("http://probe.example/204").is_err());
    }
}
