//! What the harness asks for, and the sources that came of it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::header::LOCATION;
use http::{HeaderValue, Method, Response, StatusCode};
use netcomm::dial::{Dialer, Proxies, SystemClock};
use netcomm::http::Client;
use netcomm::{Body, Env, Result};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::source::Source;
use super::wire::{CAPABILITIES, Create, Order};

/// Where sources are, below the address of the service.
const SOURCES: &str = "/sources/";

/// All sources.
pub(super) struct Service {
    address: SocketAddr,
    env: Env,
    client: Client,
    sources: Mutex<Sources>,
    quit: watch::Sender<bool>,
}

#[derive(Default)]
struct Sources {
    made: u64,
    live: HashMap<u64, Live>,
}

/// A source at work; it ends when this is dropped.
struct Live {
    orders: mpsc::UnboundedSender<Order>,
    task: AbortHandle,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Service {
    pub(super) fn new(address: SocketAddr, quit: watch::Sender<bool>) -> Result<Self> {
        // The harness is on this machine.
        let env = Env::new(Dialer::builder().proxies(Proxies::none()).build(), SystemClock);
        let client = Client::builder(&env).build()?;
        Ok(Self { address, env, client, sources: Mutex::default(), quit })
    }

    /// Answers one request.
    pub(super) fn answer(&self, method: &Method, path: &str, body: &[u8]) -> Response<Body> {
        let source = path.strip_prefix(SOURCES).and_then(|id| id.parse().ok());
        match (method.as_str(), path, source) {
            ("GET", "/", _) => Response::new(json!({ "capabilities": CAPABILITIES }).to_string().into()),
            ("POST", "/", _) => self.create(body),
            ("DELETE", "/", _) => {
                self.quit.send_replace(true);
                status(StatusCode::NO_CONTENT)
            }
            ("POST", _, Some(id)) => self.order(id, body),
            ("DELETE", _, Some(id)) => match self.lock().live.remove(&id) {
                Some(_) => status(StatusCode::NO_CONTENT),
                None => status(StatusCode::NOT_FOUND),
            },
            (_, "/", _) | (_, _, Some(_)) => status(StatusCode::METHOD_NOT_ALLOWED),
            _ => status(StatusCode::NOT_FOUND),
        }
    }

    fn create(&self, body: &[u8]) -> Response<Body> {
        let Ok(wish) = serde_json::from_slice::<Create>(body) else { return status(StatusCode::BAD_REQUEST) };
        let Ok(source) = Source::new(&self.env, &self.client, wish) else { return status(StatusCode::BAD_REQUEST) };
        let (orders, ordered) = mpsc::unbounded_channel();
        let task = tokio::spawn(source.run(ordered)).abort_handle();
        let mut sources = self.lock();
        sources.made += 1;
        let id = sources.made;
        sources.live.insert(id, Live { orders, task });
        let mut answer = status(StatusCode::CREATED);
        if let Ok(location) = HeaderValue::try_from(format!("http://{}{SOURCES}{id}", self.address)) {
            answer.headers_mut().insert(LOCATION, location);
        }
        answer
    }

    fn order(&self, id: u64, body: &[u8]) -> Response<Body> {
        let sources = self.lock();
        let Some(live) = sources.live.get(&id) else { return status(StatusCode::NOT_FOUND) };
        let Some(order) = Order::parse(body) else { return status(StatusCode::BAD_REQUEST) };
        match live.orders.send(order) {
            Ok(()) => status(StatusCode::ACCEPTED),
            Err(_) => status(StatusCode::NOT_FOUND),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer without content.
pub(super) fn status(status: StatusCode) -> Response<Body> {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    answer
}
