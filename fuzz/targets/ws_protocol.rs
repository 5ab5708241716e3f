//! Arbitrary bytes as what a WebSocket peer sends, in parts of any size, to either end, compressed or not.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| netcomm_ws::fuzz::protocol(data));
