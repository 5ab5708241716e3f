#![doc = include_str!("../README.md")]

mod builder;
mod clock;
mod connect;
mod deadline;
mod dialer;
mod env;
#[cfg(test)]
mod fixtures;
mod guard;
#[cfg(feature = "hickory")]
mod hickory;
mod lookup;
mod proxy;
mod race;
mod resolve;
mod server;
mod socks;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
mod unix;

pub use builder::DialerBuilder;
pub use clock::SystemClock;
pub use dialer::Dialer;
pub use env::env;
pub use guard::is_public;
#[cfg(feature = "hickory")]
pub use hickory::HickoryResolver;
pub use proxy::{Proxies, ProxiesBuilder};
pub use resolve::{Answer, Resolve, SystemResolver};
#[cfg(feature = "tls")]
pub use tls::{Certificates, Identity, Tls, TlsVersion};
