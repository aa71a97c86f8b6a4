//! What can be counted exactly, and so be asserted.

mod allocations;
