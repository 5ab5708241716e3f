//! A machine on paused time: paths by hand, hosts by script.

use std::net::IpAddr;
use std::time::Duration;

use netcomm_core::{AddressFamily, Env, Reach, Subscription};
use netcomm_http::Client;
use netcomm_http::testing::{Reply, ScriptedServer, ScriptedServerBuilder};
use netcomm_monitor::{
    DefaultRoute, Interface, InterfaceAddress, InterfaceKind, ManualPaths, Monitor, MonitorBuilder, PathState, Reason,
    State,
};
use netcomm_tests::{ScriptedDialer, TokioClock};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) struct Stage {
    pub(crate) dialer: ScriptedDialer,
    pub(crate) paths: ManualPaths,
    pub(crate) base: Env,
}

impl Stage {
    /// A machine with a cable that leads out over IPv4.
    pub(crate) fn new() -> Self {
        let dialer = ScriptedDialer::new();
        let base = Env::new(dialer.clone(), TokioClock::new());
        Self { dialer, paths: ManualPaths::new(wired()), base }
    }

    pub(crate) fn builder(&self) -> MonitorBuilder {
        Monitor::builder(&self.base).paths(self.paths.source())
    }

    /// A client whose traffic the monitor sees.
    pub(crate) fn client(&self, monitor: &Monitor) -> Client {
        Client::builder(&monitor.env(&self.base)).build().expect("a client")
    }

    /// Every host is that server, whatever its name.
    pub(crate) fn serve(&self, server: ScriptedServerBuilder) -> ScriptedServer {
        let server = server.offline();
        let far = server.clone();
        self.dialer.serve_all(move |stream| far.serve(stream));
        server
    }

    /// Every host answers everything with 200.
    pub(crate) fn serve_all(&self) -> ScriptedServer {
        self.serve(ScriptedServer::builder().handler(|_| Reply::status(200).body("hello")))
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A cable that leads out over IPv4.
pub(crate) fn wired() -> PathState {
    let cable =
        Interface::new(2, "eth0", InterfaceKind::Wired).with_address(InterfaceAddress::new(ip("192.0.2.7"), 24));
    PathState::none()
        .with_interface(cable)
        .with_default(AddressFamily::V4, Some(DefaultRoute::new(2, Some(ip("192.0.2.1")))))
}

/// The same over both families.
pub(crate) fn dual() -> PathState {
    wired().with_default(AddressFamily::V6, Some(DefaultRoute::new(2, Some(ip("fe80::1")))))
}

/// The next state.
pub(crate) async fn next(states: &mut Subscription<State>) -> State {
    states.next().await.expect("the monitor lives").expect("no state is missing")
}

/// The first state from here on that is of that reach and reason.
pub(crate) async fn until(states: &mut Subscription<State>, reach: Reach, reason: Reason) -> State {
    let found = async {
        loop {
            let state = next(states).await;
            if (state.reach, state.reason) == (reach, reason) {
                return state;
            }
        }
    };
    tokio::time::timeout(3600 * SECOND, found).await.expect("that state within an hour")
}

/// Lets all that is ready run, without any time passing.
pub(crate) async fn settle() {
    for _ in 0..64 {
        tokio::task::yield_now().await;
    }
}
