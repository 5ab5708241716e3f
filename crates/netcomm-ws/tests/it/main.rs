//! Stories of whole connections.

mod socket;
