//! The whole runner over an environment that lives in memory.

mod cli;
mod contract;
mod coverage;
mod forms;
mod grid;
mod html;
mod life;
mod memory;
mod mutants;
mod nextest;
mod quarantine;
mod reports;
mod store;
mod sweep;

use camino::Utf8Path;
use harness_runner::config::Settings;
use tempfile::TempDir;

fn path(dir: &TempDir) -> &Utf8Path {
    Utf8Path::from_path(dir.path()).unwrap()
}

/// Settings of a process without variables, with its run store in `out`.
fn settings(out: &TempDir) -> Settings {
    Settings {
        out: Some(path(out).to_owned()),
        ..Settings::from_vars(|_| None).unwrap()
    }
}

/// Compares with `golden/runner/NAME.snap`.
fn golden(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../../golden/runner"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
