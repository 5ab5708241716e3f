//! How a cluster is set up.

use std::fmt;
use std::time::Duration;

use netcomm_core::{Env, Error, ErrorKind, Listening, Result, Subscription};

use super::Cluster;
use super::members::{Members, Terms};
use super::route::Strategy;
use crate::connect::Connect;
use crate::connection::{ConnectionBuilder, Delivery};
use crate::message::Text;

/// One member of a cluster.
#[derive(Clone, Debug)]
#[must_use]
pub struct Member {
    pub(super) url: String,
    pub(super) name: Option<Text>,
    pub(super) priority: u32,
}

impl Member {
    /// A connection to a `ws` or `wss` URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), name: None, priority: 0 }
    }

    /// What it is called: in deliveries and snapshots, and for the choice by key, which is the same in all processes that use the same
    /// names. Default: its URL without query, and a number where several have the same.
    pub fn name(self, name: impl Into<Text>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Which one is taken first by [`Strategy::Failover`]: the lowest. Default 0.
    pub fn priority(self, priority: u32) -> Self {
        Self { priority, ..self }
    }
}

/// Builds a [`Cluster`].
#[must_use]
pub struct ClusterBuilder {
    members: Vec<Member>,
    template: ConnectionBuilder,
    listening: Listening,
    terms: Terms,
    reroute: Option<bool>,
    spread: Duration,
}

impl ClusterBuilder {
    pub(super) fn new(env: &Env) -> Self {
        Self {
            members: Vec::new(),
            template: ConnectionBuilder::new(env, Connect::new(env, "")),
            listening: Listening::default(),
            terms: Terms { strategy: Strategy::default(), cool_down: Duration::from_secs(30), reroute: true },
            reroute: None,
            spread: Duration::from_secs(1),
        }
    }

    /// Adds a member. The order of members means nothing.
    pub fn member(mut self, member: Member) -> Self {
        self.members.push(member);
        self
    }

    /// Sets up all members alike: queue, dialect, reconnection, what each connection is made of.
    pub fn each(mut self, change: impl FnOnce(ConnectionBuilder) -> ConnectionBuilder) -> Self {
        self.template = change(self.template);
        self
    }

    /// Which member carries a message. Default [`Strategy::RoundRobin`].
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.terms.strategy = strategy;
        self
    }

    /// How long a member that was lost is not preferred by [`Strategy::Failover`]. Default 30 s.
    pub fn cool_down(mut self, cool_down: Duration) -> Self {
        self.terms.cool_down = cool_down;
        self
    }

    /// Whether what waits with a member that is not ready moves to one that is. It may then arrive after what was sent later.
    /// Default: yes, but not with [`Strategy::Sticky`], where the key stands for an order.
    pub fn reroute(mut self, reroute: bool) -> Self {
        self.reroute = Some(reroute);
        self
    }

    /// Over how much time members that were lost together come back, each in its own part of it. Default 1 s.
    pub fn stagger(mut self, spread: Duration) -> Self {
        self.spread = spread;
        self
    }

    /// How much waits for the first listener, the one that [`open`](Self::open) gives, and what happens if it is slow.
    pub fn listening(mut self, listening: Listening) -> Self {
        self.listening = listening;
        self
    }

    /// Opens all members, and gives the cluster and the first listener to its messages.
    ///
    /// # Errors
    ///
    /// `Invalid` without members, where two have the same name, outside of a tokio runtime, and for an address that is none.
    pub fn open(self) -> Result<(Cluster, Subscription<Delivery>)> {
        let invalid = |detail: String| Err(Error::new(ErrorKind::Invalid, "open cluster").with_detail(detail));
        if self.members.is_empty() {
            return invalid("a cluster without members".to_owned());
        }
        let mut names: Vec<Text> = Vec::with_capacity(self.members.len());
        for member in &self.members {
            let name = match &member.name {
                Some(name) if names.contains(name) => return invalid(format!("two members are called {name:?}")),
                Some(name) => name.clone(),
                None => free_name(&netcomm_core::redact_url(&member.url), &names),
            };
            names.push(name);
        }
        let reroute = self.reroute.unwrap_or(self.terms.strategy != Strategy::Sticky);
        let terms = Terms { reroute, ..self.terms };
        let members = self.members.into_iter().zip(names).collect();
        let (members, subscription) = Members::open(members, &self.template, self.listening, terms, self.spread)?;
        Ok((Cluster { members }, subscription))
    }
}

fn free_name(wanted: &str, taken: &[Text]) -> Text {
    let numbered = (2..).map(|number| format!("{wanted}#{number}"));
    let mut names = std::iter::once(wanted.to_owned()).chain(numbered).map(Text::from);
    names.find(|name| !taken.contains(name)).expect("there are more numbers than members")
}

impl fmt::Debug for ClusterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterBuilder")
            .field("members", &self.members.len())
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}
