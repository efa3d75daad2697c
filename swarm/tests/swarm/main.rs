//! The core against a small world in virtual time.

mod policies;
mod random_worlds;
mod world;
