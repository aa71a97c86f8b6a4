//! Fake vendors, faults, a manual clock: what a connector is tested with.

pub mod fault;
mod random;
pub mod salesforce;
