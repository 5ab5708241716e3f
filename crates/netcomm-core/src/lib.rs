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
mod reconnect;
mod redact;
mod refused;
mod retry;
mod scope;
mod slots;
mod subscription;
mod tap;
mod text;
mod transport;

pub use body::Body;
pub use clock::{Clock, Sleep};
pub use connectivity::{AlwaysOnline, Connectivity, Network, NetworkChange, Reach};
pub use dial::{
    AddressFamily, AnyDial, ConnectInfo, Dial, Endpoint, ForwardProxy, Io, Steps, Target, TlsInfo, TlsTarget,
};
pub use env::Env;
pub use error::{Error, ErrorKind, GaveUp, Phase, Result, Stage};
pub use host::Host;
pub use observe::{CallId, Event, Interest, Observation, Observe};
pub use pattern::Pattern;
pub use policy::{Limits, MinRate, Policy, PrivateAddresses, Timeouts};
pub use random::Random;
pub use rate::Rate;
pub use reconnect::{Attempt, Next, Reconnect, Schedule, Verdict};
pub use redact::{Redacted, Secret, is_secret_header, is_secret_query, redact_url};
pub use refused::{Refused, retry_after};
pub use retry::{Backoff, Budget, Class, Jitter, Purse, classify};
pub use scope::{Scope, ScopeBuilder, ScopeLayer};
pub use subscription::{Batch, Feed, Heard, Items, Lagged, Listening, Queue, Slow, Subscription};
pub use tap::Tap;
pub use text::Text;
pub use transport::{AnyTransport, Endless, HttpTransport};
