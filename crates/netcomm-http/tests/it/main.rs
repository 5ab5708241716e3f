//! Integration tests.

mod auth;
mod calls;
mod intercepts;
mod pool;
mod redirects;
mod resumes;
mod scopes;
mod stage;
mod taps;
mod timeouts;
