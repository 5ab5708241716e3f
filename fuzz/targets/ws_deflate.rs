//! Arbitrary bytes to inflate, and to compress and inflate again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| netcomm_ws::fuzz::deflate(data));
