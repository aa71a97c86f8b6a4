//! The checks, one function for each rule, by what they are about.

pub(super) mod changing;
pub(super) mod declared;
pub(super) mod hygiene;
pub(super) mod reading;
pub(super) mod resuming;
pub(super) mod signing;
pub(super) mod trouble;
