//! Checks of a backup: is there one of last night ([`log`]), does it say the truth of itself ([`metadata`]), where its
//! weekly copy belongs ([`week`]), does it hold what it should ([`restore`]), and
//! what is left by one that fails, and by a drill ([`kept`]).

pub mod kept;
pub mod log;
pub mod metadata;
pub mod restore;
pub mod week;
