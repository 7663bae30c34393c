//! The pages of a stored run and of a sweep.

mod browser;
mod page;
mod storm;
mod sweep;
mod told;
mod view;
