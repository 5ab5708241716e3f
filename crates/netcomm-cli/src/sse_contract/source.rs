//! One source, and what the harness is told of it, in order.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use netcomm::http::Client;
use netcomm::sse::{Builder, EventStream, MESSAGE, Reconnect, Select};
use netcomm::{Env, Error, ErrorKind, Result};
use tokio::sync::mpsc;

use super::wire::{Create, Order, Told};
use crate::output;

/// The least of all waits, unless the harness wants it shorter.
const FLOOR: Duration = Duration::from_millis(500);

/// A source, and where what happens to it is told.
pub(super) struct Source {
    stream: EventStream,
    client: Client,
    callback_url: String,
    tag: String,
    told: u64,
    types: Vec<String>,
    /// The loss of a stream was told.
    was_lost: bool,
}

impl Source {
    /// Prepares it.
    ///
    /// # Errors
    ///
    /// `Invalid` for a wish that cannot be granted.
    pub(super) fn new(env: &Env, client: &Client, wish: Create) -> Result<Self> {
        for url in [&wish.stream_url, &wish.callback_url] {
            let scheme = url.parse::<http::Uri>().ok().and_then(|url| url.scheme_str().map(str::to_owned));
            if !matches!(scheme.as_deref(), Some("http" | "https")) {
                return Err(invalid("a URL that is not http or https"));
            }
        }
        let callback_url = wish.callback_url.trim_end_matches('/').to_owned();
        let tag = wish.tag.clone().unwrap_or_default();
        let stream = builder(env, client, wish)?.stream()?;
        let types = vec![MESSAGE.to_owned()];
        let mut source = Self { stream, client: client.clone(), callback_url, tag, told: 0, types, was_lost: false };
        source.listen();
        Ok(source)
    }

    /// Does what it is told until nobody tells it any more.
    pub(super) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        let mut is_over = false;
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Listen(event_type)) => {
                        self.types.push(event_type);
                        self.listen();
                    }
                    Some(Order::Restart) => {
                        is_over = false;
                        self.stream.restart();
                    }
                    None => return,
                },
                notice = self.stream.notice(), if !is_over => match notice {
                    Some(notice) => {
                        if let Some(told) = Told::of(notice, &mut self.was_lost) {
                            self.tell(&told).await;
                        }
                    }
                    None => is_over = true,
                },
            }
        }
    }

    fn listen(&mut self) {
        self.stream.set_types(self.types.iter().map(|wanted| Select::exact(wanted.as_str())));
    }

    /// Nothing more is read until the harness has heard it, so that it hears all in order.
    async fn tell(&mut self, told: &Told) {
        self.told += 1;
        let url = format!("{}/{}", self.callback_url, self.told);
        if let Err(error) = self.client.post(url).json(told).send().await {
            output::tell(&format!("{}: callback {}: {error}", self.tag, self.told));
        }
    }
}

fn builder(env: &Env, client: &Client, wish: Create) -> Result<Builder> {
    let mut reconnect = Reconnect::default();
    if let Some(delay) = wish.initial_delay_ms.map(Duration::from_millis) {
        reconnect = reconnect.first(delay).floor(delay.min(FLOOR));
    }
    // Of any method: the harness wants all of them to come back.
    let mut builder = EventStream::builder(env, wish.stream_url)
        .transport(client.clone())
        .reconnect(reconnect)
        .comments(true)
        .headers(headers(wish.headers.unwrap_or_default())?);
    if let Some(method) = wish.method {
        builder = builder.method(Method::from_bytes(method.as_bytes()).map_err(|_| invalid("no such method"))?);
    }
    if let Some(body) = wish.body {
        builder = builder.body(body);
    }
    if let Some(id) = wish.last_event_id {
        builder = builder.last_event_id(id);
    }
    if let Some(silence) = wish.read_timeout_ms {
        builder = builder.idle_timeout(Duration::from_millis(silence));
    }
    Ok(builder)
}

fn headers(wanted: impl IntoIterator<Item = (String, String)>) -> Result<HeaderMap> {
    let field = |(name, value): (String, String)| {
        let name = HeaderName::try_from(name).ok()?;
        Some((name, HeaderValue::try_from(value).ok()?))
    };
    wanted.into_iter().map(|pair| field(pair).ok_or_else(|| invalid("no such header field"))).collect()
}

fn invalid(detail: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, "make event source").with_detail(detail)
}
