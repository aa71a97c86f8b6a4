//! Fake vendors, faults, a manual clock: what a connector is tested with.

pub mod clock;
pub mod conformance;
pub mod desk;
pub mod disk;
pub mod fault;
pub mod mail;
pub mod memory;
mod post;
mod random;
pub mod salesforce;
pub mod scripted;
pub mod slack;
pub mod vendor;
pub mod webhook;
