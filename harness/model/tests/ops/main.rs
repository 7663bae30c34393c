//! The checks of deploys and backups: for each rule what it accepts, and what it says of what it rejects.
//!
//! The texts are reviewed, one file for each rule, below `tests/goldens/ops`.

mod archive;
mod deploy;
mod fresh;
mod kept;
mod ports;
mod seen;
mod walls;

use std::fmt::Write as _;
use std::path::Path;

use harness_model::ops;
use harness_model::verdict::{Finding, Kind};
use jiff::civil::{Date, date};

/// The day of all cases.
const TODAY: Date = date(2026, 11, 24);

/// Cases of one rule.
struct Cases {
    rule: &'static str,
    text: String,
}

impl Cases {
    fn of(rule: &'static str) -> Self {
        assert!(ops::find(rule).is_some(), "{rule} is in the list");
        Self {
            rule,
            text: String::new(),
        }
    }

    /// All is as it should be.
    #[track_caller]
    fn accept(&self, case: &str, findings: &[Finding]) {
        assert!(findings.is_empty(), "{}, {case}: {findings:#?}", self.rule);
    }

    /// Something is wrong, in so many ways.
    #[track_caller]
    fn reject(&mut self, case: &str, findings: &[Finding], count: usize) {
        assert_eq!(findings.len(), count, "{}, {case}: {findings:#?}", self.rule);
        writeln!(self.text, "{case}").unwrap();
        for finding in findings {
            assert_eq!((finding.kind, &*finding.rule), (Kind::Fail, self.rule), "{case}");
            writeln!(self.text, "  {}", finding.what).unwrap();
        }
    }

    /// Compares all that was said.
    fn review(self) {
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/ops"));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(self.rule, self.text));
    }
}

#[test]
fn each_rule_is_reviewed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens/ops");
    for rule in ops::RULES {
        let path = folder.join(format!("{}.snap", rule.id));
        assert!(path.exists(), "{} has no cases", rule.id);
    }
}
