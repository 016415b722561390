//! What tests of this crate, and of yours, run against.

pub mod contract;
pub mod standin;
