//! Fake vendors, faults, a manual clock: what a connector is tested with.
