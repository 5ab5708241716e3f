//! Arbitrary bytes as the head of a WebSocket frame.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| netcomm_ws::fuzz::frame(data));
