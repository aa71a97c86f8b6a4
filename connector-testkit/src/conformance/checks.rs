//! The checks, one function for each rule, by what they are about.

pub(super) mod acknowledging;
pub(super) mod acting;
pub(super) mod changing;
pub(super) mod compatible;
pub(super) mod declared;
pub(super) mod hygiene;
pub(super) mod leaving;
pub(super) mod paging;
pub(super) mod reading;
pub(super) mod resuming;
pub(super) mod signing;
pub(super) mod trouble;
