//! Sessions of AMQP peers.

#![no_main]

use harness_wire_fuzz::{amqp, mutate};

libfuzzer_sys::fuzz_target!(|data: &[u8]| amqp(data));
libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::amqp(data, size, max_size, seed)
});
