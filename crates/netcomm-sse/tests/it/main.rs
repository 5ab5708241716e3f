//! Stories of sources, and of what comes to them.

mod answers;
mod chaos;
mod costs;
mod crowd;
mod http;
mod keep;
mod lent;
mod life;
#[cfg(feature = "live")]
mod live;
mod lives;
mod network;
mod observed;
mod posts;
mod prepare;
mod redirects;
mod resume;
mod silence;
mod slow;
mod source;
mod stage;
mod waits;
