//! Files that describe pipelines.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness_wire_fuzz::topology(data));
