//! Many keys on any store: shared by the tests of a fleet and those that run on every store.

#[path = "../../interleaving/dice.rs"]
mod dice;
pub(crate) mod vendor;
pub(crate) mod wave;
pub(crate) mod world;
