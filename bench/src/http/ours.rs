//! netcomm-http, three times: everything off, so that a call passes through an idle pipeline; with all that it has against
//! failures; and with everything else that it has.

use std::hint::black_box;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Request, Response, Uri};
use netcomm_core::{Body, Env, Interest, Observation, Observe, Scope, Tap, Timeouts};
use netcomm_dial::{Dialer, Proxies, SystemClock};
use netcomm_http::{
    Adaptive, Breaker, Client, Concurrency, CookieJar, Hedge, Intercept, Next, Rate, RequestBuilder, Retry,
};

use super::lane::Peer;
use super::zeros::Zeros;
use crate::error::Result;

/// Without decoding, cookies, interceptors, scope and observer.
#[derive(Clone)]
pub(super) struct Idle {
    client: Client,
}

impl Peer for Idle {
    type Address = Uri;

    const NAME: &'static str = "netcomm";

    fn new() -> Result<Self> {
        let client = Client::builder(&env()).decode(false).build()?;
        Ok(Self { client })
    }

    fn address(text: &str) -> Result<Uri> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Uri) -> Result<usize> {
        let response = self.client.get(address).send().await?;
        Ok(response.bytes().await?.len())
    }

    async fn download(&self, address: &Uri) -> Result<u64> {
        receive(self.client.get(address)).await
    }

    async fn upload(&self, address: &Uri, bytes: u64) -> Result<String> {
        let body = Body::new(Zeros::new(bytes));
        let response = self.client.post(address).body(body).send().await?;
        Ok(response.text().await?)
    }
}

/// With retries, hedging, a breaker, a rate and an adaptive limit on concurrency: all of them asked for each call, none of
/// them in its way.
#[derive(Clone)]
pub(super) struct Guarded {
    client: Client,
}

impl Peer for Guarded {
    type Address = Uri;

    const NAME: &'static str = "netcomm-guarded";

    fn new() -> Result<Self> {
        let rate = Rate::per_second(NonZeroU32::new(1_000_000).ok_or("a rate above 0")?);
        let bounds = Adaptive::default().with_initial(NonZeroUsize::new(256).ok_or("a limit above 0")?);
        let client = Client::builder(&env())
            .decode(false)
            .retry(Retry::default())
            .hedge(Hedge::default())
            .breaker(Breaker::default())
            .rate(rate)
            .concurrency(Concurrency::adaptive_with(bounds))
            .build()?;
        Ok(Self { client })
    }

    fn address(text: &str) -> Result<Uri> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Uri) -> Result<usize> {
        let response = self.client.get(address).send().await?;
        Ok(response.bytes().await?.len())
    }

    async fn download(&self, address: &Uri) -> Result<u64> {
        receive(self.client.get(address)).await
    }

    async fn upload(&self, address: &Uri, bytes: u64) -> Result<String> {
        let body = Body::new(Zeros::new(bytes));
        let response = self.client.post(address).body(body).send().await?;
        Ok(response.text().await?)
    }
}

/// With decoding offered, a cookie kept and sent, all timeouts, an interceptor in each slot, a scope,
/// an observer that wants everything, and progress in both directions.
#[derive(Clone)]
pub(super) struct Full {
    client: Client,
}

impl Peer for Full {
    type Address = Uri;

    const NAME: &'static str = "netcomm-full";

    fn new() -> Result<Self> {
        let tap = Tap::new(Counter::default());
        let timeouts = Timeouts::default().with_total(Some(Duration::from_secs(600)));
        let client = Client::builder(&env().with_tap(tap))
            .cookies(CookieJar::new())
            .timeouts(timeouts)
            .intercept_calls(Through)
            .intercept_attempts(Through)
            .build()?;
        let scope = Scope::builder("bench")
            .allow("http://127.0.0.1:*")?
            .methods(["GET", "POST"])?
            .max_requests(u64::MAX)
            .build();
        let client = client.scoped(scope);
        if let Some(jar) = client.cookies() {
            let cookie = HeaderValue::from_static("session=0123456789abcdef; Path=/");
            let uri = Uri::from_static("http://127.0.0.1/");
            jar.store(&uri, [&cookie], SystemTime::now(), |_| {});
        }
        Ok(Self { client })
    }

    fn address(text: &str) -> Result<Uri> {
        Ok(text.parse()?)
    }

    async fn get(&self, address: &Uri) -> Result<usize> {
        let response = watched(self.client.get(address)).send().await?;
        Ok(response.bytes().await?.len())
    }

    async fn download(&self, address: &Uri) -> Result<u64> {
        receive(watched(self.client.get(address))).await
    }

    async fn upload(&self, address: &Uri, bytes: u64) -> Result<String> {
        let body = Body::new(Zeros::new(bytes));
        let request = watched(self.client.post(address)).body(body);
        Ok(request.send().await?.text().await?)
    }
}

/// The system's means without its proxies, as the peers have it.
fn env() -> Env {
    let dialer = Dialer::builder().proxies(Proxies::none()).build();
    Env::new(dialer, SystemClock)
}

fn watched(request: RequestBuilder) -> RequestBuilder {
    request
        .on_upload(|progress| {
            black_box(progress);
        })
        .on_download(|progress| {
            black_box(progress);
        })
}

async fn receive(request: RequestBuilder) -> Result<u64> {
    let mut response = request.send().await?;
    let mut received = 0;
    while let Some(chunk) = response.chunk().await? {
        received += chunk.len() as u64;
    }
    Ok(received)
}

/// An interceptor that changes nothing.
struct Through;

impl Intercept for Through {
    async fn intercept(&self, request: Request<Body>, mut next: Next<'_>) -> netcomm_core::Result<Response<Body>> {
        next.run(request).await
    }
}

/// An observer that takes everything and keeps a number.
#[derive(Default)]
struct Counter {
    seen: AtomicU64,
}

impl Observe for Counter {
    fn interest(&self) -> Interest {
        Interest::ALL
    }

    fn observe(&self, observation: &Observation) {
        black_box(observation);
        self.seen.fetch_add(1, Ordering::Relaxed);
    }
}
