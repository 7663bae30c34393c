//! A stored run as one HTML page: opened from disk, mailed or kept as an artifact, read without a log.
//!
//! The page asks for nothing: no network, no script, no font. Its pictures are inline SVG. It answers, for each trial
//! that did not pass: which report, which step, which fault, since when. Whatever comes from ledgers and logs is foreign
//! text: it is escaped, and control characters are taken out.
//!
//! - [`read`]: a trial's folder, also a damaged one;
//! - [`span`]: time on the page; [`deaths`]: where each blamed report was last seen;
//! - [`lanes`], [`lives`], [`plots`], [`wiring`], [`logs`]: what is shown of a trial, as values; `crowd`: what is drawn of
//!   them where more happens than can be seen;
//! - `frame`, `page`, `trial`, `pictures`, `draw`: those values as HTML. The page of a sweep has the same frame.
//!
//! Deliberately not done: nothing is judged again, and nothing is left out without saying how much and where it is.

mod crowd;
pub mod deaths;
mod draw;
pub(crate) mod frame;
pub mod lanes;
pub mod lives;
pub mod logs;
mod page;
mod pictures;
pub mod plots;
pub mod read;
pub mod span;
mod trial;
pub mod wiring;

pub use page::{Page, Why, write};
