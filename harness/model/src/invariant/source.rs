//! `source-unchanged`: the pipeline never touches the reports themselves.

use std::collections::BTreeSet;

use crate::name::Key;
use crate::verdict::{Finding, Kind};

use super::case::Case;
use super::story;

/// The rule's name.
pub(super) const ID: &str = "source-unchanged";

/// Judges.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let (before, after) = (&case.end().source_before, &case.end().source_after);
    let table = &case.topology().effects.source.table;
    let seqs: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    seqs.into_iter()
        .filter_map(|seq| {
            let change = match (before.get(seq), after.get(seq)) {
                (Some(_), None) => "is gone",
                (None, Some(_)) => "appeared while the services ran",
                (Some(before), Some(after)) if before != after => "was changed",
                _ => return None,
            };
            let key = Key::from(*seq);
            let what = format!("{}: its row in {table} {change}", story::name(case, &key));
            Some(Finding::new(Kind::Fail, ID, what).about([key]))
        })
        .collect()
}
