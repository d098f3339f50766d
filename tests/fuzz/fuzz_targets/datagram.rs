//! See `bep44_tests::fuzz::datagram`.
#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| bep44_tests::fuzz::datagram(octets));
