//! The binary `connector`.
fn main() {}
