//! The core against a small world in virtual time.

#![allow(clippy::needless_pass_by_value)]

mod policies;
mod random_worlds;
mod world;
