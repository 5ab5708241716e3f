//! Links with delays, limits and losses: what a connection is like that leaves the machine.

mod control;
mod dialer;
mod lane;
mod link;

use std::time::Duration;

pub use control::LinkControl;
pub use dialer::ShapedDialer;
pub use link::ShapedLink;

/// What a link is like. Of several, [`ALL`](Self::ALL) has ten.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LinkProfile {
    /// What people call it.
    pub name: &'static str,
    /// There and back again, without what jitter and rates add.
    pub rtt: Duration,
    /// Each way takes up to a quarter of it more or less, at random: round trips spread over it.
    pub jitter: Duration,
    /// Towards the client, in kbit/s; 0 is no limit.
    pub down_kbps: u64,
    /// From the client, in kbit/s; 0 is no limit.
    pub up_kbps: u64,
    /// The share of segments that are lost, `0..1`. One that is lost comes after a timeout, which doubles each time.
    pub loss: f64,
}

impl LinkProfile {
    /// A mobile network at its edge.
    pub const SLOW_2G: Self = Self::new("slow-2g", 2300, 200, 45, 30, 0.0);
    /// GPRS.
    pub const TWO_G: Self = Self::new("2g", 1600, 150, 65, 40, 0.0);
    /// EDGE.
    pub const EDGE: Self = Self::new("edge", 800, 80, 240, 120, 0.0);
    /// UMTS.
    pub const THREE_G: Self = Self::new("3g", 350, 50, 650, 300, 0.0);
    /// LTE.
    pub const FOUR_G: Self = Self::new("4g", 120, 20, 9000, 4000, 0.0);
    /// 5G.
    pub const FIVE_G: Self = Self::new("5g", 40, 6, 80_000, 20_000, 0.0);
    /// A wireless network at home.
    pub const WIFI: Self = Self::new("wifi", 30, 8, 30_000, 15_000, 0.002);
    /// A cable.
    pub const ETHERNET: Self = Self::new("ethernet", 20, 0, 100_000, 100_000, 0.0);
    /// A satellite that stands still.
    pub const SATELLITE: Self = Self::new("satellite", 600, 20, 20_000, 5000, 0.005);
    /// A wireless network far from its base.
    pub const LOSSY: Self = Self::new("lossy", 100, 30, 5000, 2000, 0.05);
    /// A link that adds nothing.
    pub const NONE: Self = Self::new("none", 0, 0, 0, 0, 0.0);

    /// Ten links, from the worst mobile network to a cable.
    pub const ALL: [Self; 10] = [
        Self::SLOW_2G,
        Self::TWO_G,
        Self::EDGE,
        Self::THREE_G,
        Self::FOUR_G,
        Self::FIVE_G,
        Self::WIFI,
        Self::ETHERNET,
        Self::SATELLITE,
        Self::LOSSY,
    ];

    const fn new(name: &'static str, rtt_ms: u64, jitter_ms: u64, down_kbps: u64, up_kbps: u64, loss: f64) -> Self {
        let (rtt, jitter) = (Duration::from_millis(rtt_ms), Duration::from_millis(jitter_ms));
        Self { name, rtt, jitter, down_kbps, up_kbps, loss }
    }

    /// The same with another round trip.
    #[must_use]
    pub const fn with_rtt(self, rtt: Duration) -> Self {
        Self { rtt, ..self }
    }

    /// The same with another jitter.
    #[must_use]
    pub const fn with_jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// The same with other rates, in kbit/s; 0 is no limit.
    #[must_use]
    pub const fn with_kbps(self, down_kbps: u64, up_kbps: u64) -> Self {
        Self { down_kbps, up_kbps, ..self }
    }

    /// The same with another share of lost segments.
    #[must_use]
    pub const fn with_loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    /// How long TCP waits before it sends a segment again: RFC 6298, and 200 ms at least as Linux has it.
    fn retransmission_timeout(&self) -> Duration {
        (self.rtt + self.jitter * 2).max(Duration::from_millis(200))
    }
}
