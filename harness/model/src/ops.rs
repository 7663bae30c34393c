//! Checks of how a platform is deployed and backed up, as pure functions over parsed inputs.
//!
//! They judge what scenarios find in the ops box and what `harness check` finds on a real machine; both read files and
//! ask endpoints, then come here. A check returns findings of the kind "fail" under one of the [`RULES`]; each names the
//! service or file, what was expected and what was found. No findings means that all is as it should be.
//!
//! Not done here: reading files, asking endpoints, telling the time (it is an argument), and merging Compose files, which
//! is Compose's own business: [`compose`] reads what it prints.

pub mod backup;
pub mod compose;
pub mod firewall;
pub mod migrated;
pub mod pins;
pub mod policy;
pub mod ports;
pub mod running;
pub mod secrets;
mod sockets;
pub mod versions;

use crate::verdict::{Finding, Kind};

/// A rule of this module: what its findings carry, and a catalogue of planted bugs names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub id: &'static str,
    /// What it demands, in a sentence.
    pub what: &'static str,
}

/// All rules: those of a deploy, then those of a backup.
pub const RULES: &[Rule] = &[
    Rule {
        id: pins::PARSES,
        what: "Compose reads the override, and the override names services",
    },
    Rule {
        id: pins::COMPLETE,
        what: "every service with an internal image is pinned by digest, and nothing else is",
    },
    Rule {
        id: pins::THIRD_PARTY,
        what: "an image from elsewhere is pinned by digest, or excepted by somebody until a date",
    },
    Rule {
        id: running::DIGEST,
        what: "what runs has the digest that is pinned",
    },
    Rule {
        id: running::DRIFT,
        what: "a platform is what its manifest says",
    },
    Rule {
        id: versions::AGREE,
        what: "every service says which commit it was built from, and it is the expected one",
    },
    Rule {
        id: migrated::FIRST,
        what: "migrations are applied before the first container of a deploy is made",
    },
    Rule {
        id: ports::MAPPINGS,
        what: "each port of a container is published once",
    },
    Rule {
        id: ports::POLICY,
        what: "only public ports are open to others than this machine; exceptions have a date on which they end",
    },
    Rule {
        id: firewall::POLICY,
        what: "the firewall opens nothing that the policy closes, and nothing that nobody listens on",
    },
    Rule {
        id: secrets::EXPOSED,
        what: "no secret stands in an argument, a log, a file or an image",
    },
    Rule {
        id: backup::log::FRESH,
        what: "the last complete backup is at most 30 hours old",
    },
    Rule {
        id: backup::metadata::TRUE,
        what: "the metadata of a backup is complete and true",
    },
    Rule {
        id: backup::restore::EQUAL,
        what: "what was restored is what was dumped, row by row",
    },
    Rule {
        id: backup::kept::ATOMIC,
        what: "a backup that fails leaves the last good one as it was",
    },
    Rule {
        id: backup::kept::WEEKLY,
        what: "there is a weekly copy of a Sunday's backup, under the ISO year and week, and of no other day's",
    },
    Rule {
        id: backup::kept::CLEAN,
        what: "a restore drill leaves nothing behind",
    },
];

/// The rule with this name.
pub fn find(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// A finding under one of the rules.
pub fn fail(rule: &str, what: impl Into<String>) -> Finding {
    Finding::new(Kind::Fail, rule, what)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{RULES, find};
    use crate::invariant;

    #[test]
    fn rules_have_names_of_their_own() {
        let ids: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(ids.len(), RULES.len());
        for id in ids {
            assert!(invariant::find(id).is_none(), "{id} is an invariant, too");
            assert_eq!(find(id).map(|rule| rule.id), Some(id));
        }
        assert_eq!(find("no-such-rule"), None);
    }
}
