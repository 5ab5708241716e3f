//! Making connections, apart from who asked for them.

use std::sync::Arc;
use std::time::Duration;

use netcomm_core::{Dial, Error, ErrorKind, Event, Interest, Observation, Phase, Result, Target, TlsTarget};

use super::state::{DialOrder, Protocol};
use super::{Http2, Key, Shared};
use crate::alarm::after;
use crate::conn::{self, Farewell, Meta, Opened};

/// What the dialer gets beyond its time limit to report which step it was, before it is given up.
pub(super) const GRACE: Duration = Duration::from_millis(250);

impl Shared {
    pub(super) fn start_dials(self: &Arc<Self>, orders: Vec<DialOrder>) {
        for order in orders {
            self.start_dial(order, self.env.policy().timeouts.connect);
        }
    }

    /// Makes a connection in a task of its own: it serves whoever waits when it is ready, also if the call that
    /// caused it has been served by another connection or called off.
    pub(super) fn start_dial(self: &Arc<Self>, order: DialOrder, timeout: Duration) {
        let place = Place { shared: Arc::clone(self), order: Some(order) };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            drop(runtime.spawn(place.fill(timeout)));
        }
    }

    async fn connect(self: &Arc<Self>, order: &DialOrder, timeout: Duration) -> Result<Opened> {
        let target = self.target(&order.key, timeout)?;
        let network = self.env.connectivity().current();
        let clock = self.clock();
        let deadline = clock.sleep_until(after(clock.now(), timeout.saturating_add(GRACE)));
        let io = tokio::select! {
            biased;
            io = self.env.dialer().dial(&target) => io?,
            () = deadline => return Err(Error::timeout("connect", Phase::Connect)
                .with_detail(format!("no connection within {timeout:?} (timeout connect)"))),
        };
        let http2 = match self.settings.http2 {
            Http2::Always => true,
            Http2::Never => false,
            Http2::Negotiate => io.info().alpn.as_deref() == Some(b"h2"),
        };
        let meta = Meta {
            id: order.connection,
            host: order.key.origin.host_value(),
            info: io.info().clone(),
            created: clock.now(),
            generation: network.generation,
        };
        self.env.tap().emit(Interest::CONNECTION, || {
            Observation::new(
                clock.now(),
                Event::Connected {
                    peer: meta.info.peer,
                    local: meta.info.local,
                    through_proxy: meta.info.is_through_proxy(),
                    origin: order.key.origin.to_string(),
                    steps: meta.info.steps,
                },
            )
        });
        let farewell = Farewell::new(self.env.tap(), clock, || order.key.origin.to_string());
        let (pool, key) = (Arc::downgrade(self), Arc::clone(&order.key));
        let on_room = move || {
            #[cfg(feature = "http2")]
            if let Some(pool) = pool.upgrade() {
                pool.serve_streams(&key);
            }
            #[cfg(not(feature = "http2"))]
            let _ = (&pool, &key);
        };
        conn::open(io, meta, http2, &self.env.policy().limits, clock, on_room, farewell).await
    }

    fn target(&self, key: &Key, timeout: Duration) -> Result<Target> {
        let target = match &key.unix {
            Some(path) => Target::unix(path.to_path_buf()),
            None => Target::tcp(key.origin.parsed_host()?, key.origin.port()),
        };
        let target =
            target.with_timeout(timeout).with_private_addresses(key.private_addresses).with_forward_proxy(true);
        if !key.origin.is_secure() {
            return Ok(target);
        }
        let alpn: &[&[u8]] = match self.settings.http2 {
            Http2::Negotiate if cfg!(feature = "http2") => &[b"h2", b"http/1.1"],
            Http2::Negotiate | Http2::Never => &[b"http/1.1"],
            Http2::Always => &[b"h2"],
        };
        let server_name = key.unix.as_ref().map(|_| key.origin.host().to_owned());
        Ok(target.with_tls(TlsTarget { server_name, alpn: alpn.iter().map(|name| name.to_vec()).collect() }))
    }
}

/// A place in the books, taken for a connection that is not there yet.
struct Place {
    shared: Arc<Shared>,
    order: Option<DialOrder>,
}

impl Place {
    async fn fill(mut self, timeout: Duration) {
        let Some(order) = &self.order else { return };
        let outcome = self.shared.connect(order, timeout).await;
        let Some(order) = self.order.take() else { return };
        let shared = &self.shared;
        match outcome {
            Err(error) => shared.dial_failed(&order, error),
            Ok(Opened::H1(h1)) => {
                shared.lock().dialed(&order.key, Protocol::Single);
                shared.give_back(h1, &order.key);
                // A crowd that waited to hear what the origin speaks goes on now, each with a connection of its own.
                let orders = shared.lock().orders(&order.key);
                shared.start_dials(orders);
            }
            #[cfg(feature = "http2")]
            Ok(Opened::H2(h2)) => {
                {
                    let mut state = shared.lock();
                    state.dialed(&order.key, Protocol::Multiplexed);
                    state.share(h2, &order.key);
                }
                shared.serve_streams(&order.key);
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(order) = self.order.take() {
            let error = Error::new(ErrorKind::Canceled, "connect").with_detail("the runtime is shutting down");
            self.shared.dial_failed(&order, error);
        }
    }
}

impl Shared {
    fn dial_failed(self: &Arc<Self>, order: &DialOrder, error: Error) {
        self.env.tap().emit(Interest::CONNECTION, || {
            Observation::new(
                self.clock().now(),
                Event::ConnectFailed { origin: order.key.origin.to_string(), error: error.kind() },
            )
        });
        let (waiter, orders) = {
            let mut state = self.lock();
            let waiter = state.dial_failed(order);
            (waiter, state.orders(&order.key))
        };
        if let Some(waiter) = waiter {
            // A waiter that has left wants to hear of nothing.
            drop(waiter.send(Err(error)));
        }
        self.start_dials(orders);
    }
}
