//! The page of a stored run.

mod browser;
mod page;
mod told;
mod view;
