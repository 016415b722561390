//! Stand-ins and contract suites, for tests of this crate and of yours.

pub mod contract;
pub mod standin;
