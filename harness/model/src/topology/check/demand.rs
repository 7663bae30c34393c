//! What is demanded of single values in a topology file.

use std::collections::{BTreeMap, BTreeSet};

use miette::SourceSpan;
use toml::de::DeTable;

use crate::name::Name;
use crate::topology::Topology;
use crate::topology::parse::{Mistake, spans_of, suggest};

/// The mistakes found so far in a topology, and the text's tree to locate them in.
pub(super) struct Check<'a> {
    pub(super) topology: &'a Topology,
    tree: &'a DeTable<'a>,
    /// A set, so that a template of all services is reported once.
    mistakes: BTreeSet<Mistake>,
}

impl<'a> Check<'a> {
    pub(super) fn new(topology: &'a Topology, tree: &'a DeTable<'a>) -> Self {
        Self {
            topology,
            tree,
            mistakes: BTreeSet::new(),
        }
    }

    /// What has been found, in the order of the text.
    pub(super) fn mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_iter().collect()
    }
}

/// In all of these, `at` is the path of the value.
impl Check<'_> {
    pub(super) fn add(&mut self, at: &str, message: String, expected: &str, help: &str) {
        self.add_at(spans_of(self.tree, at).1.into(), message, expected, help);
    }

    pub(super) fn add_key(&mut self, at: &str, message: String, expected: &str, help: &str) {
        self.add_at(spans_of(self.tree, at).0.into(), message, expected, help);
    }

    fn add_at(&mut self, span: SourceSpan, message: String, expected: &str, help: &str) {
        self.mistakes.insert(Mistake {
            span,
            message,
            expected: expected.to_owned(),
            help: help.to_owned(),
        });
    }

    pub(super) fn exchange(&mut self, at: &str, role: &Name) {
        self.role(at, "exchange", role, &self.topology.exchanges);
    }

    pub(super) fn route(&mut self, at: &str, role: &Name) {
        self.role(at, "route", role, &self.topology.routes);
    }

    pub(super) fn queue(&mut self, at: &str, role: &Name) {
        self.role(at, "queue", role, &self.topology.queues);
    }

    pub(super) fn service(&mut self, at: &str, role: &Name) {
        self.role(at, "service", role, &self.topology.services);
    }

    /// A reference to a role of `table`.
    fn role<T>(&mut self, at: &str, kind: &str, role: &Name, table: &BTreeMap<Name, T>) {
        if !table.contains_key(role) {
            let known: Vec<_> = table.keys().map(Name::as_str).collect();
            let expected = format!("a key of `{kind}s`");
            self.add(
                at,
                format!("no {kind} has the role `{role}`"),
                &expected,
                &suggest(role, &known),
            );
        }
    }

    /// A role where it is defined: it is part of dotted placeholders.
    pub(super) fn plain_role(&mut self, table: &str, role: &Name) {
        if role.is_empty()
            || !role
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
        {
            let wrong = format!("`{role}` cannot be a role");
            let help = "the name on the broker may be anything, but belongs into `name`";
            self.add_key(
                &format!("{table}.{role}"),
                wrong,
                "letters, digits, `_` and `-`",
                help,
            );
        }
    }

    /// A name on the wire: AMQP's short strings have at most 255 bytes.
    pub(super) fn text(&mut self, at: &str, text: &str) {
        if text.is_empty() || text.len() > 255 {
            let wrong = if text.is_empty() {
                "an empty name"
            } else {
                "a name of more than 255 bytes"
            };
            self.add(
                at,
                wrong.to_owned(),
                "1 to 255 bytes",
                "write the name that is used on the wire",
            );
        }
    }

    /// A name that nothing else of its kind has.
    pub(super) fn name(&mut self, seen: &mut BTreeMap<String, String>, kind: &str, at: &str, name: &str) {
        self.text(at, name);
        if let Some(first) = seen.insert(name.to_owned(), at.to_owned()) {
            let wrong = format!("{kind} `{name}` is there twice");
            self.add(
                at,
                wrong,
                "a name of its own",
                &format!("`{first}` has this name, too"),
            );
        }
    }

    pub(super) fn filled<T>(&mut self, at: &str, list: &[T]) {
        if list.is_empty() {
            self.add(at, "an empty list".to_owned(), "at least one element", "add one");
        }
    }

    pub(super) fn at_least_one(&mut self, at: &str, number: u64) {
        if number == 0 {
            self.add(
                at,
                "0 is too small".to_owned(),
                "at least 1",
                "write a number above 0",
            );
        }
    }

    pub(super) fn path(&mut self, at: &str, path: &str) {
        if !path.starts_with('/') {
            let help = format!("write `/{path}`");
            self.add(
                at,
                format!("`{path}` is not an absolute path"),
                "a path that begins with `/`",
                &help,
            );
        }
    }

    /// RFC 6901, section 3.
    pub(super) fn pointer(&mut self, at: &str, pointer: &str) {
        let escapes = pointer
            .split('~')
            .skip(1)
            .all(|rest| rest.starts_with(['0', '1']));
        if !(escapes && (pointer.is_empty() || pointer.starts_with('/'))) {
            let help =
                "begin with `/`, or write \"\" for the whole document; `~` is `~0`, and `/` in a name `~1`";
            self.add(
                at,
                format!("`{pointer}` is not a JSON pointer"),
                "a JSON pointer (RFC 6901)",
                help,
            );
        }
    }

    /// A table or column that is a value.
    pub(super) fn identifier(&mut self, at: &str, name: &str) {
        if !plain(name) {
            let wrong = format!("`{name}` is not a plain identifier");
            self.add(at, wrong, IDENTIFIER.0, IDENTIFIER.1);
        }
    }

    /// A column that is a key.
    pub(super) fn column(&mut self, at: &str, name: &str) {
        if !plain(name) {
            let wrong = format!("`{name}` is not a plain identifier");
            self.add_key(at, wrong, IDENTIFIER.0, IDENTIFIER.1);
        }
    }

    /// One of a few words.
    pub(super) fn word(&mut self, at: &str, word: &str, known: &[&str]) {
        if !known.contains(&word) {
            self.add(
                at,
                format!("unknown word `{word}`"),
                "a known word",
                &suggest(word, known),
            );
        }
    }
}

/// What an identifier has to be, and why.
const IDENTIFIER: (&str, &str) = (
    "letters, digits, `_` and `$`",
    "it becomes part of SQL statements as it stands",
);

fn plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_$".contains(c))
}
