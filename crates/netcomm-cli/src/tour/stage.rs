//! What scenes stand on: a client that knows no proxy and little patience, and names that lead where a scene wants.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use netcomm::dial::{Answer, Dialer, DialerBuilder, Proxies, Resolve, SystemClock};
use netcomm::http::{Client, ClientBuilder};
use netcomm::{Env, Error, ErrorKind, Policy, Result, Timeouts};

/// The longest that a client of the tour waits for anything, unless a scene says less.
const PATIENCE: Duration = Duration::from_secs(3);

/// A client as most scenes want it.
pub(super) fn client() -> ClientBuilder {
    Client::builder(&env(dialer()))
}

/// A dialer to which the process environment has nothing to say.
pub(super) fn dialer() -> DialerBuilder {
    Dialer::builder().proxies(Proxies::none())
}

/// An environment with short timeouts around a dialer.
pub(super) fn env(dialer: DialerBuilder) -> Env {
    Env::new(dialer.build(), SystemClock).with_policy(policy())
}

/// The default policy with short timeouts.
pub(super) fn policy() -> Policy {
    Policy::default().with_timeouts(timeouts())
}

/// Short timeouts.
pub(super) fn timeouts() -> Timeouts {
    Timeouts::default()
        .with_blocked(PATIENCE)
        .with_connect(PATIENCE)
        .with_header(PATIENCE)
        .with_idle_body(PATIENCE)
        .with_total(Some(2 * PATIENCE))
}

/// The names of the tour: one that leads to this machine, and one whose first address is dead.
pub(super) struct Names;

impl Names {
    /// Leads to 127.0.0.1.
    pub(super) const HERE: &'static str = "intranet.example";
    /// Leads to [`DEAD`](Self::DEAD), then to 127.0.0.1.
    pub(super) const HALF_DEAD: &'static str = "two-faces.example";
    /// An address of this machine on which the scene sees to it that nobody answers.
    pub(super) const DEAD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
}

impl Resolve for Names {
    async fn resolve(&self, name: &str) -> Result<Answer> {
        let here = IpAddr::from(Ipv4Addr::LOCALHOST);
        match name {
            Self::HERE => Ok(vec![here].into()),
            Self::HALF_DEAD => Ok(vec![Self::DEAD.into(), here].into()),
            _ => Err(Error::new(ErrorKind::Dns, "look up").with_detail(format!("nobody is called {name}"))),
        }
    }
}
