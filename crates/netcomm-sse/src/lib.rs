#![doc = include_str!("../README.md")]

mod builder;
mod content_type;
mod encode;
mod event;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzz;
mod limits;
#[cfg(feature = "live")]
mod live;
mod open;
mod parser;
mod prepare;
mod request;
mod select;
#[cfg(feature = "http")]
mod shortcut;
mod source;
mod state;
mod status;
mod stream;
#[cfg(feature = "json")]
mod typed;

pub use builder::Builder;
pub use content_type::ContentType;
pub use encode::Block;
pub use event::{Event, MESSAGE};
pub use limits::{Limits, Oversize};
#[cfg(feature = "ws")]
pub use live::SocketChanges;
#[cfg(feature = "live")]
pub use live::{
    Change, EventChanges, Follow, Following, Live, LiveBuilder, LiveLimits, LiveState, News, Patch, Snapshot,
};
pub use netcomm_core::{Attempt, Lagged, Listening, Reconnect, Refused, Slow, Subscription, Text, Verdict};
pub use parser::{EventRef, Filter, Item, ItemRef, ParseError, Parser};
pub use prepare::{KeepId, Prepare};
pub use request::{Request, Resume};
pub use select::Select;
#[cfg(feature = "http")]
pub use shortcut::listen;
pub use source::{EventSource, EventSubscription, States};
pub use state::{Counts, End, Notice, Opened, State};
pub use status::{OnStatus, OwnPolicy, StatusPolicy};
pub use stream::EventStream;
#[cfg(feature = "json")]
pub use typed::TypedSubscription;
