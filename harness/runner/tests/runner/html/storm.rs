//! Trials in which the same thing happens again and again: all of it is counted, and the page stays small.

use std::fs;

use harness_model::event::{Backend, Step, Verb};
use harness_model::verdict::{Finding, Kind};
use tempfile::TempDir;

use super::page::page;
use super::told::{Told, run};
use crate::path;

/// How often each thing happens.
const TIMES: u32 = 25_000;

/// A trial in which one report is delivered and put back all the time while the consumer loses its connections and the
/// database answers errors.
pub(super) fn storm() -> (Told, Finding) {
    let mut told = Told::new("flow::storm");
    told.step = 20_000;
    told.report(1);
    let key = told.inject(2);
    let mut last = 0;
    for _ in 0..TIMES {
        let tag = told.deliver("tags", &key);
        last = told.put_back("tags", &key, tag);
    }
    for i in 0..TIMES {
        told.disconnect("tags", 13 + i);
        let error = "refused".to_owned();
        told.push(
            Some("tags"),
            None,
            Step::DialFailed {
                to: Backend::Database,
                error,
            },
        );
        told.connect("tags", 14 + i);
        let text = "deadlock".to_owned();
        let error = Step::DbErr {
            verb: Verb::Insert,
            code: 1213,
            text,
        };
        told.push(Some("tags"), Some(21), error);
    }
    let what = format!("report {key} was confirmed and has no effect; last seen at #{last}, put back");
    (
        told,
        Finding::new(Kind::Fail, "no-loss", what)
            .about([key])
            .shown_by([last]),
    )
}

#[test]
fn a_storm_of_errors_dials_and_redeliveries_is_counted_on_a_page_of_less_than_5_mb() {
    let out = TempDir::new().unwrap();
    let run = run(path(&out));
    let (told, finding) = storm();
    let dir = told.store(&run, vec![finding]);
    let ledger = fs::metadata(dir.join("ledger.jsonl")).unwrap().len();
    let page = page(&run.dir);
    assert!(page.len() < 1_000_000, "{} bytes of {ledger}", page.len());
    for said in [
        "25,000 errors",
        "25,000 dials failed",
        " more until ",
        " states, one after the other; first ",
        " stages between: ",
    ] {
        assert!(page.contains(said), "{said}");
    }
}
