//! Ledgers of trials.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| harness_wire_fuzz::ledger(data));
