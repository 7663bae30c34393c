//! Pure values of the harness: what happened, what was asked for, and what follows from it.
//!
//! Nothing here does I/O, reads a clock, starts a thread or is async: every function gives the same answer for the
//! same arguments, so a stored run can be judged again, years later, on a machine without containers. Readers and
//! writers take `std::io` traits; who opens the file is somebody else's business.
//!
//! The order in which the modules build on each other:
//! [`seed`] and [`name`]; [`event`] and [`ledger`] (what happened); [`fault`] (what was done to it);
//! [`topology`] and [`report`] (what is under test, and what goes in); [`evidence`] (everything a judge may look at);
//! [`invariant`] (the judges) and [`verdict`] (what they say); [`fingerprint`] (which failures are the same) and
//! [`quarantine`] (which of them are known); [`bugs`] (what they have to notice), [`grid`] (where a
//! pipeline can be hit) and [`coverage`] (what a whole run has exercised). Beside them stands [`ops`], the checks of a
//! platform's deploys and backups, which look at files and answers instead of a ledger; [`perturbation`] and [`statistics`]
//! are what a sweep draws and counts.

pub mod bugs;
pub mod coverage;
pub mod divergence;
pub mod event;
pub mod evidence;
pub mod fault;
pub mod fingerprint;
pub mod grid;
pub mod invariant;
pub mod ledger;
pub mod name;
pub mod ops;
pub mod perturbation;
pub mod quarantine;
pub mod report;
pub mod seed;
pub mod statistics;
pub mod topology;
pub mod verdict;
