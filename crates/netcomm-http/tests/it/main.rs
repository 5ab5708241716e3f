//! Integration tests.

mod calls;
mod pool;
mod redirects;
mod stage;
