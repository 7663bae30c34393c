//! Migrations against the containers that a deploy has made.
//!
//! Rule `migrated-first`: what starts finds the database as it needs it. Containers from before the deploy say nothing: the
//! old version has to work with what a migration makes.

use jiff::Timestamp;

use super::fail;
use crate::verdict::Finding;

/// Migrations are applied before containers are made.
pub const FIRST: &str = "migrated-first";

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub name: String,
    /// When it was made, to the engine's precision.
    pub at: Timestamp,
}

/// Rule `migrated-first`: `applied` is when migrations were, by the table `table`; absent if there is no such table. Of
/// `made`, those count that were made after the deploy had begun, at `began`. There has to be one: else nothing is known.
pub fn first(table: &str, applied: Option<&[Timestamp]>, began: Timestamp, made: &[Made]) -> Vec<Finding> {
    let latest = match applied {
        None => {
            return vec![fail(
                FIRST,
                format!("no migration was applied: there is no table {table}"),
            )];
        }
        Some(applied) => applied.iter().max(),
    };
    let Some(latest) = latest else {
        return vec![fail(FIRST, format!("no migration was applied: {table} is empty"))];
    };
    let mut made: Vec<_> = made.iter().filter(|one| one.at >= began).collect();
    made.sort_by_key(|one| one.at);
    if made.is_empty() {
        let what = format!(
            "no container was made after the deploy began, at {began}: that migrations come first is not shown"
        );
        return vec![fail(FIRST, what)];
    }
    let early = made.into_iter().filter(|one| one.at < *latest);
    early
        .map(|one| {
            let Made { name, at } = one;
            let what =
                format!("a migration was applied at {latest}, after container {name} was made, at {at}");
            fail(FIRST, what)
        })
        .collect()
}
