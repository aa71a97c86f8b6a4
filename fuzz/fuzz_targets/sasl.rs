//! What a server may ask who signs in. What is held stands in `connector_email::fuzzing`.
#![no_main]

libfuzzer_sys::fuzz_target!(|said: &[u8]| connector_email::fuzzing::sasl(said));
