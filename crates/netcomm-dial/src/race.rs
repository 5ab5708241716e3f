//! Happy Eyeballs (RFC 8305): in which order addresses are tried, and when the next one is.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use netcomm_core::Clock;
use tokio::io::{AsyncRead, AsyncWrite};

/// RFC 8305 §8: the recommended Connection Attempt Delay …
pub(crate) const DEFAULT_DELAY: Duration = Duration::from_millis(250);
/// … and the least and the most that it may be.
const DELAYS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(2));

/// How many addresses of one name are tried.
const MAX_ADDRESSES: usize = 32;

/// Opens one connection: the seam at which a test takes the place of the network.
pub(crate) trait Connect: Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    fn local(stream: &Self::Stream) -> Option<SocketAddr>;
}

/// The addresses with their families taking turns, beginning with the family of the first (RFC 8305
/// §4 with a First Address Family Count of 1); within a family the order stays. An address that
/// comes twice is taken once, and no family has more than [`MAX_ADDRESSES`].
pub(crate) fn interleave(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut families: [VecDeque<IpAddr>; 2] = Default::default();
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    for address in addresses {
        let family = &mut families[usize::from(address.is_ipv4() != first.is_ipv4())];
        if family.len() < MAX_ADDRESSES && !family.contains(address) {
            family.push_back(*address);
        }
    }
    let mut order = Vec::with_capacity(addresses.len());
    let mut turn = 0;
    while let Some(address) = families[turn].pop_front().or_else(|| families[1 - turn].pop_front()) {
        order.push(address);
        turn = 1 - turn;
    }
    order
}

/// One race over the addresses of one name: a state machine that opens nothing and asks no clock.
#[derive(Debug)]
pub(crate) struct Race {
    waiting: VecDeque<SocketAddr>,
    running: usize,
    delay: Duration,
    next_at: Option<Instant>,
    failures: Vec<(SocketAddr, io::Error)>,
}

/// What is to be done next.
#[derive(Debug)]
pub(crate) enum Step {
    /// Start an attempt, then ask again.
    Start(SocketAddr),
    /// Wait until an attempt ends; if a time is given, no longer than that. Then ask again.
    Wait(Option<Instant>),
    /// Every attempt has failed.
    Lost(Vec<(SocketAddr, io::Error)>),
}

impl Race {
    /// A race over `addresses`, which come in the order of preference. `delay` is kept within 10 ms
    /// and 2 s.
    pub(crate) fn new(addresses: &[IpAddr], port: u16, delay: Duration) -> Self {
        let order = interleave(addresses).into_iter().take(MAX_ADDRESSES);
        Self {
            waiting: order.map(|address| SocketAddr::new(address, port)).collect(),
            running: 0,
            delay: delay.clamp(DELAYS.0, DELAYS.1),
            next_at: None,
            failures: Vec::new(),
        }
    }

    /// What to do at `now`.
    pub(crate) fn next(&mut self, now: Instant) -> Step {
        // RFC 8305 §5: one attempt at a time is started, the next after the delay.
        if self.next_at.is_none_or(|at| at <= now)
            && let Some(address) = self.waiting.pop_front()
        {
            self.running += 1;
            self.next_at = Some(now + self.delay);
            return Step::Start(address);
        }
        if !self.waiting.is_empty() {
            Step::Wait(self.next_at)
        } else if self.running > 0 {
            Step::Wait(None)
        } else {
            Step::Lost(std::mem::take(&mut self.failures))
        }
    }

    /// An attempt has failed: the next may start at once.
    pub(crate) fn failed(&mut self, address: SocketAddr, error: io::Error) {
        self.running -= 1;
        self.next_at = None;
        self.failures.push((address, error));
    }
}

/// Runs a race. The winner's stream and address, or every failure.
///
/// # Cancel safety
///
/// Dropping the future closes what was opened, as winning closes what lost.
pub(crate) async fn run<C: Connect>(
    mut race: Race,
    connector: &C,
    clock: &dyn Clock,
) -> Result<(C::Stream, SocketAddr), Vec<(SocketAddr, io::Error)>> {
    let mut attempts = FuturesUnordered::new();
    loop {
        let wait = match race.next(clock.now()) {
            Step::Start(address) => {
                attempts.push(async move { (address, connector.connect(address).await) });
                continue;
            }
            Step::Wait(until) => until.map(|until| clock.sleep_until(until)),
            Step::Lost(failures) => return Err(failures),
        };
        let next_start = async {
            match wait {
                Some(wait) => wait.await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            Some((address, ended)) = attempts.next() => match ended {
                Ok(stream) => return Ok((stream, address)),
                Err(error) => race.failed(address, error),
            },
            () = next_start => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::SystemClock;
    use crate::fixtures::{Fate, Net, ips, ms};

    const V6: [&str; 3] = ["2001:db8::1", "2001:db8::2", "2001:db8::3"];
    const V4: [&str; 3] = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];

    #[test]
    fn families_take_turns() {
        for (given, expected) in [
            (vec![], vec![]),
            (vec![V4[0]], vec![V4[0]]),
            (vec![V6[0], V6[1], V4[0], V4[1]], vec![V6[0], V4[0], V6[1], V4[1]]),
            (vec![V4[0], V4[1], V6[0]], vec![V4[0], V6[0], V4[1]]),
            (vec![V6[0], V4[0], V4[1], V4[2]], vec![V6[0], V4[0], V4[1], V4[2]]),
            (vec![V4[0], V4[0], V6[0], V4[0]], vec![V4[0], V6[0]]),
        ] {
            assert_eq!(interleave(&ips(&given)), ips(&expected), "{given:?}");
        }
    }

    proptest! {
        #[test]
        fn the_order_is_a_permutation_in_which_families_alternate(
            given in prop::collection::hash_set(any::<IpAddr>(), 0..20),
        ) {
            let given: Vec<IpAddr> = given.into_iter().collect();
            let order = interleave(&given);
            let sorted = |mut addresses: Vec<IpAddr>| {
                addresses.sort_unstable();
                addresses
            };
            prop_assert_eq!(sorted(order.clone()), sorted(given.clone()));
            prop_assert_eq!(order.first(), given.first());
            let of = |addresses: &[IpAddr], v4: bool| -> Vec<IpAddr> {
                addresses.iter().copied().filter(|ip| ip.is_ipv4() == v4).collect()
            };
            for v4 in [true, false] {
                prop_assert_eq!(of(&order, v4), of(&given, v4), "the order within a family stays");
            }
            let both = 2 * of(&given, true).len().min(of(&given, false).len());
            let alternate = |pair: &[IpAddr]| pair[0].is_ipv4() != pair[1].is_ipv4();
            prop_assert!(order[..both].windows(2).all(alternate));
        }
    }

    #[test]
    fn one_after_the_other_and_at_once_after_a_failure() {
        let now = Instant::now();
        let mut race = Race::new(&ips(&[V6[0], V4[0], V6[1]]), 443, ms(250));
        let start = |step: Step| match step {
            Step::Start(address) => address,
            other => panic!("expected a start, not {other:?}"),
        };
        let first = start(race.next(now));
        assert_eq!(first.to_string(), "[2001:db8::1]:443");
        assert!(matches!(race.next(now), Step::Wait(Some(at)) if at == now + ms(250)));
        assert!(matches!(race.next(now + ms(249)), Step::Wait(Some(_))));
        let second = start(race.next(now + ms(250)));
        assert_eq!(second.to_string(), "192.0.2.1:443");
        race.failed(first, io::ErrorKind::ConnectionRefused.into());
        let third = start(race.next(now + ms(251)));
        assert!(matches!(race.next(now + ms(251)), Step::Wait(None)));
        race.failed(second, io::ErrorKind::ConnectionRefused.into());
        race.failed(third, io::ErrorKind::TimedOut.into());
        assert!(matches!(race.next(now + ms(252)), Step::Lost(failures) if failures.len() == 3));
    }

    #[test]
    fn the_delay_and_the_addresses_have_bounds() {
        let now = Instant::now();
        for (given, kept) in [(ms(0), ms(10)), (ms(100), ms(100)), (Duration::MAX, ms(2000))] {
            let mut race = Race::new(&ips(&V4), 80, given);
            assert!(matches!(race.next(now), Step::Start(_)));
            assert!(matches!(race.next(now), Step::Wait(Some(at)) if at == now + kept));
        }
        let many: Vec<IpAddr> = (0..1000_u32).map(|bits| IpAddr::V4(bits.into())).collect();
        assert_eq!(Race::new(&many, 80, DEFAULT_DELAY).waiting.len(), MAX_ADDRESSES);
    }

    async fn run_on(net: &Net, addresses: &[&str]) -> Result<String, usize> {
        let race = Race::new(&ips(addresses), 80, DEFAULT_DELAY);
        run(race, net, &SystemClock).await.map(|(_, address)| address.to_string()).map_err(|failures| failures.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_first_family_is_overtaken() {
        let net = Net::new(|address| if address.is_ipv6() { Fate::Opens(ms(900)) } else { Fate::Opens(ms(20)) });
        assert_eq!(run_on(&net, &[V6[0], V4[0]]).await, Ok("192.0.2.1:80".to_owned()));
        assert_eq!(net.log(), [("[2001:db8::1]:80".to_owned(), 0), ("192.0.2.1:80".to_owned(), 250)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_family_that_is_quick_enough_is_alone() {
        let net = Net::new(|_| Fate::Opens(ms(249)));
        assert_eq!(run_on(&net, &[V6[0], V4[0]]).await, Ok("[2001:db8::1]:80".to_owned()));
        assert_eq!(net.dialled().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_address_that_fails_lets_the_next_start_at_once() {
        let net = Net::new(|address| if address.is_ipv6() { Fate::Refused(ms(30)) } else { Fate::Opens(ms(20)) });
        assert_eq!(run_on(&net, &[V6[0], V4[0]]).await, Ok("192.0.2.1:80".to_owned()));
        assert_eq!(net.log()[1], ("192.0.2.1:80".to_owned(), 30));
    }

    #[tokio::test(start_paused = true)]
    async fn all_refused() {
        let net = Net::new(|_| Fate::Refused(ms(1)));
        assert_eq!(run_on(&net, &[V6[0], V4[0], V6[1]]).await, Err(3));
        assert_eq!(run_on(&net, &[]).await, Err(0));
    }
}
