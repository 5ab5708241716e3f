//! All cases, several at a time at each of several servers.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::Client;

/// What the reports call this client.
pub(crate) const AGENT: &str = "netcomm";

/// The suite gives its longest cases 480 seconds and says itself who was too slow. This is for a peer that hangs.
const PATIENCE: Duration = Duration::from_secs(600);

/// Plays all cases that the servers have, the same at each, then has the reports written. Gives their number.
pub(crate) async fn play(servers: &[String], at_once: usize) -> Result<usize, Box<dyn Error>> {
    let client = Client::new();
    let mut counts = Vec::new();
    for server in servers {
        counts.push(count(&client, server).await?);
    }
    let (Some(count), true) = (counts.first().copied(), counts.windows(2).all(|two| two[0] == two[1])) else {
        return Err(format!("servers that do not have the same cases: {counts:?}").into());
    };
    let next = Arc::new(AtomicUsize::new(1));
    let mut lanes = JoinSet::new();
    for server in servers {
        for _ in 0..at_once {
            let (client, server, next) = (client.clone(), server.clone(), Arc::clone(&next));
            drop(lanes.spawn(async move { lane(&client, &server, &next, count).await }));
        }
    }
    drop(lanes.join_all().await);
    for server in servers {
        timeout(PATIENCE, echo(&client, &format!("{server}/updateReports?agent={AGENT}"))).await??;
    }
    Ok(count)
}

async fn count(client: &Client, server: &str) -> Result<usize, Box<dyn Error>> {
    let mut connection = client.connect(&format!("{server}/getCaseCount")).await?;
    let message = timeout(PATIENCE, connection.recv()).await??.ok_or("no number of cases came")?;
    // To its end, so that the server has closed first.
    while timeout(PATIENCE, connection.recv()).await??.is_some() {}
    Ok(message.as_text().ok_or("the number of cases is no text")?.parse()?)
}

/// Plays one case after the other, whichever is next.
async fn lane(client: &Client, server: &str, next: &AtomicUsize, last: usize) {
    loop {
        let case = next.fetch_add(1, Ordering::Relaxed);
        if case > last {
            return;
        }
        // How it ends here says nothing: many cases break the connection on purpose, and the server is the judge.
        drop(timeout(PATIENCE, echo(client, &format!("{server}/runCase?case={case}&agent={AGENT}"))).await);
    }
}

/// Sends back whatever comes until the connection ends.
async fn echo(client: &Client, url: &str) -> netcomm_core::Result<()> {
    let mut connection = client.connect(url).await?;
    while let Some(message) = connection.recv().await? {
        connection.send(message).await?;
    }
    Ok(())
}
