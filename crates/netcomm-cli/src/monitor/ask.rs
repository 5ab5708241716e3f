//! Traffic to judge by: URLs that are asked every so often, and WebSockets that are listened to.

use std::time::Duration;

use http::Uri;
use netcomm::http::Client;
use netcomm::ws::Connection;
use netcomm::{Env, Error, ErrorKind, Result};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

/// Those who ask, until they are dropped.
pub(super) type Asking = JoinSet<()>;

/// Begins to ask these.
///
/// # Errors
///
/// Kind `Invalid` for what is no URL of http, https, ws or wss.
pub(super) fn start(env: &Env, urls: &[String], every: Duration) -> Result<Asking> {
    let client = client(env)?;
    let mut asking = Asking::new();
    for url in urls {
        match is_socket(url)? {
            true => {
                // It comes back by itself; what it says is seen by whoever watches the environment.
                let (connection, mut messages) = Connection::builder(env, url).open()?;
                asking.spawn(async move {
                    while messages.next().await.is_some() {}
                    drop(connection);
                });
            }
            false => {
                let (client, url) = (client.clone(), url.clone());
                asking.spawn(async move {
                    let mut next = interval(every);
                    next.set_missed_tick_behavior(MissedTickBehavior::Delay);
                    loop {
                        next.tick().await;
                        ask(&client, &url).await;
                    }
                });
            }
        }
    }
    Ok(asking)
}

/// Asks each of these once, all at the same time.
///
/// # Errors
///
/// As [`start`].
pub(super) fn once(env: &Env, urls: &[String]) -> Result<Asking> {
    let client = client(env)?;
    let mut asking = Asking::new();
    for url in urls {
        if !is_socket(url)? {
            let (client, url) = (client.clone(), url.clone());
            asking.spawn(async move { ask(&client, &url).await });
        }
    }
    Ok(asking)
}

fn client(env: &Env) -> Result<Client> {
    Client::builder(env).default_header("user-agent", concat!("netcomm/", env!("CARGO_PKG_VERSION"))).build()
}

/// What comes of it is seen by whoever watches the environment.
async fn ask(client: &Client, url: &str) {
    if let Ok(mut response) = client.get(url).send().await {
        while let Ok(Some(_)) = response.chunk().await {}
    }
}

/// Whether it is a WebSocket's.
fn is_socket(url: &str) -> Result<bool> {
    let invalid = || Error::new(ErrorKind::Invalid, "read options").with_detail("not an absolute URL").with_url(url);
    let parsed: Uri = url.parse().map_err(|error| invalid().with_source(error))?;
    match parsed.scheme_str() {
        Some("http" | "https") => Ok(false),
        Some("ws" | "wss") => Ok(true),
        _ => Err(invalid().with_detail("neither http, https, ws nor wss")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_apart() {
        for (url, expected) in [
            ("http://a.example/", Some(false)),
            ("https://a.example", Some(false)),
            ("ws://a.example/", Some(true)),
            ("wss://a.example/", Some(true)),
            ("a.example", None),
            ("ftp://a.example/", None),
            ("/x", None),
            ("", None),
        ] {
            assert_eq!(is_socket(url).ok(), expected, "{url}");
        }
    }
}
