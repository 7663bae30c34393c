//! What belongs to an ops box among all that is on the engine. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use crate::ops::request::Object;
use crate::pool::LEASE_LABEL;

/// How one tells what a box has made.
#[derive(Debug)]
pub(super) struct Owned {
    /// What everything that is made gets.
    pub(super) labels: BTreeMap<String, String>,
    /// Those of the labels that nothing else of the trial has: the box itself carries the others, too.
    pub(super) mine: BTreeMap<String, String>,
    /// Names of images that were free, or the box's own already, when it gave them. An image that was pulled keeps the
    /// labels of who pushed it, so they do not tell.
    given: Mutex<BTreeSet<String>>,
}

impl Owned {
    pub(super) fn new(labels: BTreeMap<String, String>, mine: BTreeMap<String, String>) -> Self {
        Self {
            labels: labels.into_iter().chain(mine.clone()).collect(),
            mine,
            given: Mutex::default(),
        }
    }

    /// From now on an image of this name is the box's own, whatever its labels.
    pub(super) fn give(&self, name: &str) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.insert(tagged(name));
    }

    /// Whether something that is on the engine with these labels belongs to the box.
    pub(super) fn has(&self, what: &Object, labels: &BTreeMap<String, String>) -> bool {
        let Object::Image(name) = what else {
            return self
                .mine
                .iter()
                .all(|(key, value)| labels.get(key) == Some(value));
        };
        // The harness pushes versions into the trial's registry for it, with the lease's labels and none of the box's.
        let lease = self.labels.get(LEASE_LABEL);
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        lease.is_some() && labels.get(LEASE_LABEL) == lease || given.contains(&tagged(name))
    }
}

/// The name with its tag, which is `latest` if there is none.
fn tagged(name: &str) -> String {
    match name.rsplit_once(':') {
        // A colon before a slash belongs to a registry's port.
        Some((_, tag)) if !tag.contains('/') => name.to_owned(),
        _ => format!("{name}:latest"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{LEASE_LABEL, Object, Owned};
    use crate::ops::BOX_LABEL;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn what_a_box_has_made_is_its_own_and_nothing_else() {
        let owned = Owned::new(labels(&[(LEASE_LABEL, "l")]), labels(&[(BOX_LABEL, "l")]));
        owned.give("r:5/a");
        owned.give("redis:7");
        let made = &[(LEASE_LABEL, "l"), (BOX_LABEL, "l")][..];
        let pushed = &[(LEASE_LABEL, "l")][..];
        let others = &[(LEASE_LABEL, "m"), (BOX_LABEL, "m")][..];
        let (container, image) = (
            |name: &str| Object::Container(name.to_owned()),
            |name: &str| Object::Image(name.to_owned()),
        );
        for (what, carried, own) in [
            (container("c"), made, true),
            // The box itself, and the registry.
            (container("c"), pushed, false),
            (container("c"), others, false),
            (container("c"), &[], false),
            (Object::Volume("v".to_owned()), others, false),
            // A name that was given to an image is none of a container's.
            (container("redis:7"), &[], false),
            (image("a:1"), made, true),
            (image("a:1"), pushed, true),
            (image("a:1"), others, false),
            (image("a:1"), &[], false),
            // Pulled before by this box.
            (image("redis:7"), &[], true),
            (image("r:5/a:latest"), others, true),
            (image("r:5/a"), &[], true),
            (image("redis:6"), &[], false),
            (image("redis"), &[], false),
            (image("r:5/a:1"), &[], false),
        ] {
            assert_eq!(owned.has(&what, &labels(carried)), own, "{what} {carried:?}");
        }
        let without = Owned::new(labels(&[]), labels(&[(BOX_LABEL, "l")]));
        assert!(!without.has(&image("a:1"), &labels(&[])));
    }
}
