//! Short programs, each run by the tests. The first one is in the README, and compiled from there:
//!
#![doc = include_str!("../../README.md")]
