//! Checks of a backup: is there one of last night ([`log`]), does it say the truth of itself ([`metadata`]), where its
//! weekly copy belongs ([`week`]), and does it hold what it should ([`restore`]).

pub mod log;
pub mod metadata;
pub mod restore;
pub mod week;

/// A backup that fails leaves the last good one as it was.
pub const ATOMIC: &str = "backup-atomic";
/// Weekly copies are where they belong.
pub const WEEKLY: &str = "backup-weekly";
/// A restore drill leaves nothing behind.
pub const CLEAN: &str = "drill-clean";
