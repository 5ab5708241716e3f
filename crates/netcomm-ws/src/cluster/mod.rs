//! Several connections as one.

mod route;

pub use route::Strategy;
