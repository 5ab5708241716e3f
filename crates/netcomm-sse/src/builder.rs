//! How a source is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use netcomm_core::{AnyTransport, Body, Env, HttpTransport, Reconnect, Result, Text};

use crate::content_type::ContentType;
use crate::event::Event;
use crate::limits::Limits;
use crate::open::Terms;
use crate::prepare::{AnyKeep, AnyPrepare, KeepId, Prepare};
use crate::request::Request;
use crate::select::Select;
use crate::source::EventSource;
use crate::status::StatusPolicy;
use crate::stream::{EventStream, Gaps, Plan};

/// Silence after which a stream is taken for dead, unless something else is said.
const IDLE: Duration = Duration::from_secs(300);

/// Sets up a source: [`stream`](Self::stream) makes one that is polled where it stands, [`open`](Self::open) one that lives on
/// a task and has listeners.
#[must_use]
pub struct Builder {
    env: Env,
    transport: Option<AnyTransport>,
    request: Request,
    prepare: Option<AnyPrepare>,
    keep: Option<AnyKeep>,
    terms: Terms,
    reconnect: Option<Reconnect>,
    idle_timeout: Option<Duration>,
    limits: Limits,
    comments: bool,
    last_event_id: Text,
    sentinel: Option<Text>,
    gaps: Option<Gaps>,
    types: Vec<Select>,
    pub(crate) is_lazy: bool,
}

impl Builder {
    pub(crate) fn new(env: &Env, url: &str) -> Self {
        Self {
            env: env.clone(),
            transport: None,
            request: Request::new(url),
            prepare: None,
            keep: None,
            terms: Terms {
                status: StatusPolicy::default(),
                content_type: ContentType::default(),
                timeout: Duration::from_secs(60),
            },
            reconnect: None,
            idle_timeout: Some(IDLE),
            limits: Limits::default(),
            comments: false,
            last_event_id: Text::default(),
            sentinel: None,
            gaps: None,
            types: Vec::new(),
            is_lazy: false,
        }
    }

    /// The same for header fields and code that another builder was told.
    #[cfg(feature = "live")]
    pub(crate) fn told(mut self, headers: HeaderMap, prepare: Option<AnyPrepare>) -> Self {
        self.request = self.request.with_headers(headers);
        self.prepare = prepare;
        self
    }

    /// Who carries the requests. Default, with the feature `http`: a client of netcomm-http made for this source, with the
    /// environment's policy. Sources that share a client share its pool, its scope and its cookies, and each takes less than half
    /// the memory; over HTTP/1.1 each holds one of the pool's connections, of which there are at most 100 to one origin, unless the
    /// client is told otherwise.
    pub fn transport(mut self, transport: impl HttpTransport) -> Self {
        self.transport = Some(AnyTransport::new(transport));
        self
    }

    /// Another method than `GET`. A source that uses one does not come back, unless [`reconnect`](Self::reconnect) says so.
    pub fn method(mut self, method: Method) -> Self {
        self.request = self.request.method(method);
        self
    }

    /// Sets a header field of all requests, in place of what it was. `Accept` and `Cache-Control` have values of their own
    /// where nothing else is set.
    pub fn header<N, V>(mut self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName, Error: Into<http::Error>>,
        V: TryInto<HeaderValue, Error: Into<http::Error>>,
    {
        self.request = self.request.header(name, value);
        self
    }

    /// Sets header fields of all requests, each in place of what it was.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.request = self.request.headers(headers);
        self
    }

    /// A body for all requests.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.request = self.request.body(body);
        self
    }

    /// A value as JSON, sent by `POST`: what language models are asked with. Needs the feature `json`. A value that JSON
    /// cannot say is an error of the first try.
    #[cfg(feature = "json")]
    pub fn post_json<T: serde::Serialize + ?Sized>(mut self, value: &T) -> Self {
        self.request = self.request.method(Method::POST).json(value);
        self
    }

    /// Asks anew at each try what to send, and where to.
    pub fn prepare(mut self, prepare: impl Prepare) -> Self {
        self.prepare = Some(AnyPrepare::new(prepare));
        self
    }

    /// The event id to begin behind. Default: none, the server begins where it likes.
    pub fn last_event_id(mut self, id: impl Into<Text>) -> Self {
        self.last_event_id = id.into();
        self
    }

    /// Keeps the last event id where it outlives this source, and begins behind the one that is kept there.
    pub fn keep_id(mut self, keep: impl KeepId) -> Self {
        self.keep = Some(AnyKeep::new(keep));
        self
    }

    /// Which statuses open a stream, and which are worth another try.
    pub fn status(mut self, status: StatusPolicy) -> Self {
        self.terms.status = status;
        self
    }

    /// What an answer must say of its content.
    pub fn content_type(mut self, content_type: ContentType) -> Self {
        self.terms.content_type = content_type;
        self
    }

    /// Whether and when a stream that ended or broke is opened again. Default: [`Reconnect::default`] for `GET`,
    /// [`Reconnect::never`] for all other methods.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.reconnect = Some(reconnect);
        self
    }

    /// How long a try may take, from preparing the request to the answer's head. Default 60 s; the transport has limits of its
    /// own for each step.
    pub fn open_timeout(mut self, timeout: Duration) -> Self {
        self.terms.timeout = timeout;
        self
    }

    /// How long an open stream may be silent before it is taken for dead. Any byte counts, those of comments too; while nobody
    /// reads, no time does. Default 5 min;
    /// a server that sends a comment every 15 s deserves 45 s. `None`: for ever, as long as TCP's keep-alive finds nothing.
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.idle_timeout = timeout.into();
        self
    }

    /// How large lines and events may be, and what becomes of larger ones. Default 16 MiB each; larger ones end the source.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether comments are told ([`Notice::Comment`](crate::Notice::Comment)). Default no.
    pub fn comments(mut self, comments: bool) -> Self {
        self.comments = comments;
        self
    }

    /// Which types are wanted; events of others are left out before anything is done with their data. Default: all. For a
    /// source with listeners, they say.
    pub fn types(mut self, types: impl IntoIterator<Item = Select>) -> Self {
        self.types = types.into_iter().collect();
        self
    }

    /// The data of the event that ends the stream, such as `[DONE]`: it is not delivered, and the source ends well. A stream
    /// that ends without it, where it is not opened again, ended with an error. It must be of a type that is wanted.
    pub fn done_when(mut self, data: impl Into<Text>) -> Self {
        self.sentinel = Some(data.into());
        self
    }

    /// Tells whether events are missing: called with the id that the server was asked to go on from and the first event
    /// after it. What it finds is told ([`Notice::Gap`](crate::Notice::Gap)) before that event. Events of types that are not
    /// [wanted](Self::types) are none to it.
    ///
    /// ```no_run
    /// # fn example(env: &netcomm_core::Env) {
    /// use netcomm_sse::{Event, EventSource};
    ///
    /// // Ids are numbers, one after the other.
    /// let gap = |after: &str, first: &Event| {
    ///     let (after, first) = (after.parse::<u64>(), first.id.parse::<u64>());
    ///     matches!((after, first), (Ok(after), Ok(first)) if first != after + 1)
    /// };
    /// EventSource::builder(env, "https://server.example/").gaps(gap);
    /// # }
    /// ```
    pub fn gaps(mut self, gaps: impl Fn(&str, &Event) -> bool + Send + Sync + 'static) -> Self {
        self.gaps = Some(Arc::new(gaps));
        self
    }

    /// Does nothing until it is [started](EventSource::start). Default: a source on a task starts with its first listener.
    pub fn lazy(mut self) -> Self {
        self.is_lazy = true;
        self
    }

    /// A source that is polled where it stands.
    ///
    /// # Errors
    ///
    /// `Unsupported` without a transport and without the feature `http`; those of building a client. What is wrong with the
    /// request is an error of the first try.
    pub fn stream(self) -> Result<EventStream> {
        Ok(EventStream::new(self.plan()?))
    }

    /// A source on a task of its own, with listeners.
    ///
    /// # Errors
    ///
    /// As [`stream`](Self::stream), and `Unsupported` outside of a tokio runtime.
    pub fn open(self) -> Result<EventSource> {
        EventSource::spawn(self)
    }

    fn plan(self) -> Result<Plan> {
        let transport = match self.transport {
            Some(transport) => transport,
            None => default_transport(&self.env)?,
        };
        let returns = self.request.is_get();
        Ok(Plan {
            env: self.env,
            transport,
            reconnect: self
                .reconnect
                .unwrap_or_else(|| if returns { Reconnect::default() } else { Reconnect::never() }),
            request: self.request,
            prepare: self.prepare,
            keep: self.keep,
            terms: self.terms,
            idle_timeout: self.idle_timeout,
            limits: self.limits,
            comments: self.comments,
            last_event_id: self.last_event_id,
            sentinel: self.sentinel,
            gaps: self.gaps,
            types: (!self.types.is_empty()).then_some(self.types),
        })
    }
}

#[cfg(feature = "http")]
pub(crate) fn default_transport(env: &Env) -> Result<AnyTransport> {
    Ok(AnyTransport::new(netcomm_http::Client::builder(env).build()?))
}

#[cfg(not(feature = "http"))]
pub(crate) fn default_transport(_: &Env) -> Result<AnyTransport> {
    use netcomm_core::{Error, ErrorKind};
    Err(Error::new(ErrorKind::Unsupported, "build event source").with_detail("no transport, and no feature `http`"))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("request", &self.request)
            .field("terms", &self.terms)
            .field("reconnect", &self.reconnect)
            .field("idle_timeout", &self.idle_timeout)
            .field("limits", &self.limits)
            .field("types", &self.types)
            .finish_non_exhaustive()
    }
}
