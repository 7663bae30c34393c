//! Passwords, made for one pair of backends or one lease and forgotten with it.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read as _;

/// 128 random bits from the kernel, in hex.
///
/// # Panics
/// If the machine has no `/dev/urandom`: nothing may then be started with a password that could be guessed.
pub fn password() -> String {
    let mut random = [0_u8; 16];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .expect("the kernel gives random bytes");
    random.iter().fold(String::with_capacity(32), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes what is written");
        hex
    })
}
