//! Short programs, each run by the tests.
