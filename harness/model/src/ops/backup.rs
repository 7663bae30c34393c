//! Checks of a backup: is there one of last night ([`log`]), does it say the truth of itself ([`metadata`]), where its
//! weekly copy belongs ([`week`]), and does it hold what it should ([`restore`]).

pub mod log;
pub mod metadata;
pub mod restore;
pub mod week;
