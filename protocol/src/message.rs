//! The messages, one enum for each direction of each link.
//!
//! Unknown fields are ignored, so a newer sender may add some; an unknown `type`
//! is an error that the sender hears of.

pub mod coord;
mod flat;
pub mod peer;
pub mod shim;
