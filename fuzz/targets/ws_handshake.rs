//! Arbitrary bytes as the answer to a WebSocket handshake, and as a request for one.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| netcomm_ws::fuzz::handshake(data));
