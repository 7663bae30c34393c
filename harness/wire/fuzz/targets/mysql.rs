//! Sessions of MySQL peers.

#![no_main]

use harness_wire_fuzz::{mutate, mysql};

libfuzzer_sys::fuzz_target!(|data: &[u8]| mysql(data));
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mysql(data, size, max_size, seed)
});
