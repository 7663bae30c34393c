//! What a number of trials says about those that were not run.

use harness_model::statistics::at_most;
use harness_model::verdict::Kind;

use crate::report::Finished;

/// The bound for a run, in a sentence.
pub(crate) fn sentence(finished: &[Finished]) -> String {
    let trials = finished.len() as u64;
    let passed = finished.iter().filter(|ended| ended.verdict.kind == Kind::Pass);
    let failures = trials - passed.count() as u64;
    format!(
        "{failures} of {trials} trials did not pass; at most {:.2} % of such trials do not (95 % sure)",
        100.0 * at_most(failures, trials)
    )
}
