//! The contract and the mechanism: what a connector author depends on.
