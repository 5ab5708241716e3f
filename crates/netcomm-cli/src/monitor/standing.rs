//! What is known of the network, in the words in which it is shown: pure.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use netcomm::core::{AddressFamily, Reach};
use netcomm::monitor::{Answer, PathState, ProbeReport, State};
use serde_json::{Value, json};

/// What is known of the network.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) reach: Reach,
    pub(super) reason: &'static str,
    pub(super) since: Instant,
    pub(super) metered: bool,
    pub(super) generation: u64,
    /// The way out; `None` where nothing tells of ways, or there is none.
    pub(super) path: Option<Path>,
    /// Whether something tells of ways at all.
    pub(super) has_paths: bool,
    pub(super) probe: Option<Probed>,
}

/// The way out of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    pub(super) interface: String,
    pub(super) kind: &'static str,
    pub(super) gateway: Option<IpAddr>,
    pub(super) v4: bool,
    pub(super) v6: bool,
}

/// What the last probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Probed {
    pub(super) took: Duration,
    pub(super) portal: Option<String>,
    /// What came over each way that was tried.
    pub(super) ways: Vec<(&'static str, String)>,
}

impl Standing {
    pub(super) fn of(state: &State) -> Self {
        Self {
            reach: state.reach,
            reason: state.reason.as_str(),
            since: state.since,
            metered: state.metered,
            generation: state.generation,
            path: state.paths.as_deref().and_then(Path::of),
            has_paths: state.paths.is_some(),
            probe: state.probe.as_deref().map(Probed::of),
        }
    }

    /// How far it reaches, in a word.
    pub(super) fn word(&self) -> &'static str {
        match self.reach {
            Reach::Offline => "offline",
            Reach::Captive => "captive",
            Reach::Limited => "limited",
            Reach::Online => "online",
            _ => "unknown",
        }
    }

    /// All of it but the time, as an object.
    pub(super) fn json(&self) -> Value {
        json!({
            "reach": self.word(),
            "reason": self.reason,
            "metered": self.metered,
            "generation": self.generation,
            "path": self.path.as_ref().map(Path::json),
            "probe": self.probe.as_ref().map(Probed::json),
        })
    }

    /// All of it but the time, in a line.
    pub(super) fn text(&self) -> String {
        let mut parts = vec![format!("{}: {}", self.word(), self.reason)];
        match &self.path {
            Some(path) => parts.push(path.text()),
            None if self.has_paths => parts.push("no way out".to_owned()),
            None => {}
        }
        parts.extend(self.metered.then(|| "metered".to_owned()));
        parts.extend(self.probe.as_ref().map(Probed::text));
        parts.join("; ")
    }
}

impl Path {
    fn of(paths: &PathState) -> Option<Self> {
        let interface = paths.main_interface()?;
        let (v4, v6) = (paths.has_path(AddressFamily::V4), paths.has_path(AddressFamily::V6));
        let family = if v4 { AddressFamily::V4 } else { AddressFamily::V6 };
        let gateway = paths.default_route(family).and_then(|route| route.gateway);
        Some(Self { interface: interface.name.clone(), kind: interface.kind.as_str(), gateway, v4, v6 })
    }

    fn families(&self) -> Vec<&'static str> {
        [("IPv4", self.v4), ("IPv6", self.v6)].into_iter().filter_map(|(name, is)| is.then_some(name)).collect()
    }

    pub(super) fn text(&self) -> String {
        let gateway = self.gateway.map_or_else(String::new, |gateway| format!(" via {gateway}"));
        format!("{} ({}){gateway}, {}", self.interface, self.kind, self.families().join(" and "))
    }

    fn json(&self) -> Value {
        json!({
            "interface": self.interface,
            "kind": self.kind,
            "gateway": self.gateway.map(|gateway| gateway.to_string()),
            "families": self.families(),
        })
    }
}

impl Probed {
    pub(super) fn of(report: &ProbeReport) -> Self {
        let ways = [("IPv4", &report.v4), ("IPv6", &report.v6), ("by address", &report.by_address)];
        let ways = ways.into_iter().filter_map(|(name, answer)| Some((name, told(answer.as_ref()?)))).collect();
        Self { took: report.took, portal: report.portal().map(str::to_owned), ways }
    }

    pub(super) fn text(&self) -> String {
        let ways: Vec<_> = self.ways.iter().map(|(way, answer)| format!("{way} {answer}")).collect();
        format!("probe: {} in {} ms", ways.join(", "), self.took.as_millis())
    }

    fn json(&self) -> Value {
        let ways: serde_json::Map<_, _> = self
            .ways
            .iter()
            .map(|(way, answer)| (way.to_lowercase().replace(' ', "_"), Value::from(answer.as_str())))
            .collect();
        json!({ "took": self.took.as_secs_f64() * 1000.0, "portal": self.portal, "answers": ways })
    }
}

fn told(answer: &Answer) -> String {
    match answer {
        Answer::Good => "good".to_owned(),
        Answer::Portal { location: Some(location) } => format!("a portal at {location}"),
        Answer::Portal { location: None } => "a portal".to_owned(),
        Answer::Unclear { status } => format!("unclear ({status})"),
        Answer::None { error, .. } => (*error).to_owned(),
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn online(since: Instant) -> Standing {
        Standing {
            reach: Reach::Online,
            reason: "traffic succeeds",
            since,
            metered: false,
            generation: 1,
            path: Some(Path {
                interface: "eth0".to_owned(),
                kind: "ethernet",
                gateway: Some("192.0.2.1".parse().expect("an address")),
                v4: true,
                v6: false,
            }),
            has_paths: true,
            probe: None,
        }
    }

    #[test]
    fn a_state_is_told_in_a_line_and_as_an_object() {
        let mut standing = online(Instant::now());
        assert_eq!(standing.text(), "online: traffic succeeds; eth0 (ethernet) via 192.0.2.1, IPv4");
        standing.metered = true;
        let portal = Answer::Portal { location: Some("http://login.example/".to_owned()) };
        standing.probe = Some(Probed {
            took: Duration::from_millis(7),
            portal: Some("http://login.example/".to_owned()),
            ways: vec![("IPv4", told(&portal)), ("by address", told(&Answer::Good))],
        });
        let text = standing.text();
        assert!(text.ends_with("metered; probe: IPv4 a portal at http://login.example/, by address good in 7 ms"));
        let json = standing.json();
        assert_eq!(json["path"]["families"], json!(["IPv4"]));
        assert_eq!(json["probe"]["answers"]["by_address"], "good");
        assert_eq!((&json["reach"], &json["probe"]["took"]), (&json!("online"), &json!(7.0)));
        (standing.path, standing.probe) = (None, None);
        assert_eq!(standing.text(), "online: traffic succeeds; no way out; metered");
    }
}
