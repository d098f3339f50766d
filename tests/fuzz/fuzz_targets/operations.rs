//! See `bep44_tests::fuzz::operations`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| bep44_tests::fuzz::operations(octets));
