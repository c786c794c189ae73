#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| connect_test::fuzz::decode_budget(data));
