#![doc = include_str!("../README.md")]

mod body;
mod clock;
mod connectivity;
mod dial;
mod env;
mod error;
mod host;
mod observe;
mod pattern;
mod policy;
mod random;
mod rate;
mod redact;
mod retry;
mod scope;
mod slots;
mod tap;
mod transport;

pub use body::Body;
pub use clock::{Clock, Sleep};
pub use connectivity::{AlwaysOnline, Connectivity, Network, NetworkChange, Reach};
pub use dial::{AnyDial, ConnectInfo, Dial, Endpoint, ForwardProxy, Io, Steps, Target, TlsInfo, TlsTarget};
pub use env::Env;
pub use error::{Error, ErrorKind, GaveUp, Phase, Result, Stage};
pub use host::Host;
pub use observe::{CallId, Event, Interest, Observation, Observe};
pub use pattern::Pattern;
pub use policy::{Limits, MinRate, Policy, PrivateAddresses, Timeouts};
pub use random::Random;
pub use rate::Rate;
pub use redact::{Redacted, Secret, is_secret_header, is_secret_query, redact_url};
pub use retry::{Backoff, Budget, Class, Jitter, Purse, classify};
pub use scope::{Scope, ScopeBuilder, ScopeLayer};
pub use tap::Tap;
pub use transport::{AnyTransport, HttpTransport};
