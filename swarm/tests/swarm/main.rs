//! The core against a small world in virtual time.

#![allow(clippy::needless_pass_by_value)]

mod adaptive;
mod policies;
mod random_worlds;
mod thesis;
mod world;
