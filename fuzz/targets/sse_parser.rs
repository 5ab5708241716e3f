//! Arbitrary bytes as an event stream, cut in any way, read as the standard's text says.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| netcomm_sse::fuzz::parser(data));
