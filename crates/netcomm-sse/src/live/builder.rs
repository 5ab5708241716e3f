//! How a live document is set up.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use http::header::ACCEPT;
use http::{HeaderName, HeaderValue};
use netcomm_core::{AnyTransport, Env, HttpTransport, Reconnect, Result};
use serde::de::DeserializeOwned;

use super::Live;
use super::events::EventChanges;
use super::fetch::{Fetch, Numbering};
use super::follow::{AnyFollow, Follow};
use super::limits::LiveLimits;
use super::task::Plan;
use crate::builder::{Builder, default_transport};
use crate::prepare::{AnyPrepare, Prepare};
use crate::request::Request;

/// Sets up a [`Live`] document.
#[must_use]
pub struct LiveBuilder<T> {
    env: Env,
    transport: Option<AnyTransport>,
    url: String,
    request: Request,
    prepare: Option<AnyPrepare>,
    numbering: Numbering,
    changes: Changes,
    reconnect: Reconnect,
    timeout: Duration,
    limits: LiveLimits,
    value: PhantomData<fn() -> T>,
}

/// Where they come from.
enum Changes {
    Events(String),
    Own(AnyFollow),
}

impl<T: DeserializeOwned + Send + Sync + 'static> LiveBuilder<T> {
    pub(super) fn new(env: &Env, url: &str) -> Self {
        Self {
            env: env.clone(),
            transport: None,
            url: url.to_owned(),
            request: Request::new(url),
            prepare: None,
            numbering: Numbering::Field(HeaderName::from_static("sequence-number")),
            changes: Changes::Events(url.to_owned()),
            reconnect: Reconnect::default(),
            timeout: Duration::from_secs(60),
            limits: LiveLimits::default(),
            value: PhantomData,
        }
    }

    /// Who carries the requests, for the document and for the [events](Self::events). Default, with the feature `http`: a
    /// client of netcomm-http made for this document.
    pub fn transport(mut self, transport: impl HttpTransport) -> Self {
        self.transport = Some(AnyTransport::new(transport));
        self
    }

    /// Sets a header field of all requests, in place of what it was. `Accept` is the document's alone; where it is not
    /// set it is `application/json`, and `Cache-Control` is `no-cache`.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.request = self.request.header(name, value);
        self
    }

    /// Asks anew at each try what to send, for the document and for the [events](Self::events).
    pub fn prepare(mut self, prepare: impl Prepare) -> Self {
        self.prepare = Some(AnyPrepare::new(prepare));
        self
    }

    /// The field of the document's answer that tells the number of the last change in it, in digits. Default
    /// `sequence-number`.
    pub fn sequence_field(mut self, name: HeaderName) -> Self {
        self.numbering = Numbering::Field(name);
        self
    }

    /// The member of the document that tells the number of the last change in it, a number or a string of digits, as a JSON
    /// pointer (RFC 6901): `/metadata/resourceVersion`. Instead of a field.
    pub fn sequence_member(mut self, pointer: impl Into<String>) -> Self {
        self.numbering = Numbering::Member(pointer.into());
        self
    }

    /// The URL of the event stream that brings the changes, as [`EventChanges`] reads them, over the same transport and with
    /// the same header fields. Default: that of the document, asked for as `text/event-stream`.
    pub fn events(mut self, url: impl Into<String>) -> Self {
        self.changes = Changes::Events(url.into());
        self
    }

    /// Who brings the changes, instead of an event stream of that kind.
    pub fn follow(mut self, follow: impl Follow) -> Self {
        self.changes = Changes::Own(Arc::new(follow));
        self
    }

    /// How often the document is fetched, and when that is given up: its waits lie between any two fetches, whatever made
    /// the second one necessary. Default: [`Reconnect::default`]. A copy that was in step for 5 s counts as stable. How often
    /// the stream of changes comes back by itself is its own affair.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = reconnect;
        self
    }

    /// How long fetching the document may take. Default 60 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How large the document and its changes may be.
    pub fn limits(mut self, limits: LiveLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Fetches the document and keeps it in step, on a task.
    ///
    /// # Errors
    ///
    /// `Invalid` for a header field that cannot be sent; `Unsupported` without a transport and without the feature `http`, and
    /// outside of a tokio runtime; those of building a client.
    pub fn open(self) -> Result<Live<T>> {
        let transport = match self.transport {
            Some(transport) => transport,
            None => default_transport(&self.env)?,
        };
        let is_local = self.request.is_local();
        let headers = self.request.into_headers()?;
        let follow = match self.changes {
            Changes::Own(follow) => follow,
            Changes::Events(url) => {
                let (env, transport, prepare) = (self.env.clone(), transport.clone(), self.prepare.clone());
                let mut headers = headers.clone();
                headers.remove(ACCEPT);
                Arc::new(EventChanges::new(move || {
                    Builder::new(&env, &url).told(headers.clone(), prepare.clone()).transport(transport.clone())
                }))
            }
        };
        let fetch = Fetch {
            transport,
            clock: Arc::clone(self.env.clock()),
            url: self.url,
            headers,
            prepare: self.prepare,
            numbering: self.numbering,
            timeout: self.timeout,
            max_bytes: self.limits.document_bytes,
        };
        let (env, reconnect, limits) = (self.env, self.reconnect, self.limits);
        Live::spawn(Plan { env, fetch, follow, is_local, reconnect, limits })
    }
}

impl<T> fmt::Debug for LiveBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveBuilder")
            .field("request", &self.request)
            .field("numbering", &self.numbering)
            .field("reconnect", &self.reconnect)
            .field("timeout", &self.timeout)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
