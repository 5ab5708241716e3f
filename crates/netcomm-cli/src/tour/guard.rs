//! The guard against private addresses.

use std::net::SocketAddr;

use netcomm::core::{Dial, Endpoint, Io, PrivateAddresses, Target};
use netcomm::dial::{Dialer, SystemClock};
use netcomm::http::Client;
use netcomm::http::testing::{Reply, ScriptedServer};
use netcomm::{Env, ErrorKind, Result};

use super::scene::{Scene, Verdict, ensure, expect_error};
use super::stage::{self, Names};

pub(super) const SCENE: Scene = Scene {
    name: "guard",
    title: "The guard against private addresses",
    origin: "listens on this machine, under many spellings and behind a redirect from a public host",
    promise: "with the guard on it is reached by none of them; nothing is sent to it",
    play: || Box::pin(play()),
};

/// A host that stands for a public one: the [`Outside`] leads it to the origin without a look at its address.
const PUBLIC: &str = "public.example";

async fn play() -> Verdict {
    let origin = ScriptedServer::builder().handler(|_| Reply::status(200).body("inside")).start().await?;
    let port = origin.address().port();
    let public = ScriptedServer::builder()
        .route("/to-address", Reply::status(302).header("location", origin.url("/")))
        .route("/to-number", Reply::status(307).header("location", format!("http://2130706433:{port}/")))
        .route("/to-name", Reply::status(302).header("location", format!("http://{}:{port}/", Names::HERE)))
        .start()
        .await?;
    let dialer = stage::dialer().resolver(Names).build();
    let outside = Outside { public: public.address(), dialer };
    let policy = stage::policy().with_private_addresses(PrivateAddresses::Deny);
    let client = Client::builder(&Env::new(outside, SystemClock).with_policy(policy)).build()?;

    let direct = ["127.0.0.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", Names::HERE];
    for host in direct {
        let outcome = client.get(format!("http://{host}:{port}/")).send().await;
        expect_error(host, outcome, &[ErrorKind::Denied])?;
    }
    let redirected = ["/to-address", "/to-number", "/to-name"];
    for path in redirected {
        let outcome = client.get(format!("http://{PUBLIC}{path}")).send().await;
        expect_error(path, outcome, &[ErrorKind::Denied])?;
    }
    let (asked, reached) = (public.request_count(), origin.connections());
    ensure(asked == redirected.len(), || format!("the public host was asked {asked} times"))?;
    ensure(reached == 0, || format!("{reached} connections were made"))?;
    Ok(format!("{} spellings and {} redirects refused; {reached} connections", direct.len(), redirected.len()))
}

/// A world with one public host. Everything else goes to the real dialer and its guard.
struct Outside {
    public: SocketAddr,
    dialer: Dialer,
}

impl Dial for Outside {
    async fn dial(&self, target: &Target) -> Result<Io> {
        let is_public = matches!(&target.endpoint, Endpoint::Tcp { host, .. } if host.to_string() == PUBLIC);
        if !is_public {
            return self.dialer.dial(target).await;
        }
        let mut there = target.clone().with_private_addresses(PrivateAddresses::Allow);
        there.endpoint = Endpoint::Tcp { host: self.public.ip().into(), port: self.public.port() };
        self.dialer.dial(&there).await
    }
}
