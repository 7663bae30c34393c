//! Catalogues of planted bugs: what is switched on, where it has to be noticed, and by which rule.
//!
//! A planted bug is a fault in what is under test: in the pipeline, switched on by environment variables of its services,
//! or in a script that deploys it or backs it up, where another script takes the place of the good one.
//! The harness is trusted as far as it notices them. [`Catalogue::parse`] reads the TOML form, with the same care as a
//! topology file: a mistake is shown with file, line and what was expected. What a catalogue says of rules, scenarios and
//! services is checked by [`Catalogue::check`], for those bugs that are asked for, because only the caller knows what
//! there is.
//!
//! Nothing here knows a bug by its name.

use std::collections::{BTreeMap, BTreeSet};

use miette::{Diagnostic, NamedSource};
use serde::Deserialize;
use toml::de::{DeTable, Deserializer};

use crate::invariant;
use crate::name::Name;
use crate::ops;
use crate::topology::nearest::nearest;
use crate::topology::parse::{Mistake, count, render, shape, spans_of, suggest, syntax};
use crate::verdict::{Finding, Kind};

/// What the part of a run is called that has no bug in it; no bug may have this id.
pub const UNMODIFIED: &str = "unmodified";

/// Rules whose findings are about reports. One of theirs that names none shows that something is wrong, but not that the
/// rule has seen the bug. The other rules speak of services, connections, queues or sums as well.
const ABOUT_REPORTS: [&str; 10] = [
    "no-loss",
    "dlq-exact",
    "atomic",
    "source-unchanged",
    "event-fidelity",
    "explained-duplicates",
    "publisher-honest",
    "retries-bounded",
    "sibling-isolation",
    "progress",
];

/// One planted bug.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Its name: lower-case letters, digits and hyphens.
    pub id: String,
    /// What it is like in the field.
    pub like: String,
    /// The variables that switch it on, as templates like those of a topology.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Roles of the services that are given them.
    #[serde(default)]
    pub services: Vec<Name>,
    /// Instead of variables: the scripts that take the place of the topology's, by what they are for (`deploy`), as paths
    /// relative to the catalogue.
    #[serde(default)]
    pub scripts: BTreeMap<String, String>,
    /// Rules of which at least one must fail; whatever else goes red does not count.
    pub caught_by: Vec<String>,
    /// The scenarios in which it is looked for.
    pub scenarios: Vec<String>,
    /// It is on the list that the harness was built against.
    #[serde(default = "yes")]
    pub listed: bool,
    /// The naive check is known to see it, too.
    #[serde(default)]
    pub baseline: bool,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bugs {
    #[serde(default)]
    bug: Vec<Bug>,
}

/// A catalogue with the text that it was read from.
#[derive(Debug, Clone)]
pub struct Catalogue {
    bugs: Vec<Bug>,
    file: String,
    text: String,
}

/// A catalogue that is refused.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("catalogue of bugs `{}` has {}", file.name(), count(mistakes.len()))]
pub struct CatalogueError {
    #[source_code]
    file: NamedSource<String>,
    #[related]
    mistakes: Vec<Mistake>,
}

impl CatalogueError {
    /// The mistakes, in the order of the text.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    /// The error as text for people: each mistake with its line, at most `width` columns wide, with ANSI colours if
    /// `colours`.
    pub fn render(&self, width: usize, colours: bool) -> String {
        render(self, width, colours)
    }
}

impl Bug {
    /// What is given to services to switch it on: variables by role.
    pub fn switch(&self) -> BTreeMap<String, BTreeMap<String, String>> {
        let given = |role: &Name| (role.to_string(), self.env.clone());
        self.services.iter().map(given).collect()
    }

    /// This finding shows that a rule that has to has noticed the bug.
    pub fn is_noticed_by(&self, finding: &Finding) -> bool {
        finding.kind == Kind::Fail
            && self.caught_by.contains(&finding.rule)
            && !(finding.keys.is_empty() && ABOUT_REPORTS.contains(&finding.rule.as_str()))
    }
}

impl Catalogue {
    /// Reads the TOML in `text`; `file` is only shown in errors.
    ///
    /// # Errors
    /// The text is no catalogue, or two bugs have one id.
    pub fn parse(file: &str, text: &str) -> Result<Self, CatalogueError> {
        let tree = DeTable::parse(text).map_err(|error| refused(file, text, vec![syntax(&error)]))?;
        let bugs = Bugs::deserialize(Deserializer::from(tree.clone()))
            .map_err(|error| refused(file, text, vec![shape(&error)]))?;
        let catalogue = Self {
            bugs: bugs.bug,
            file: file.to_owned(),
            text: text.to_owned(),
        };
        let mut notes = Notes::new(tree.get_ref());
        let mut ids = BTreeSet::from([UNMODIFIED]);
        for (i, bug) in catalogue.bugs.iter().enumerate() {
            notes.bug(i, bug);
            if !ids.insert(&bug.id) {
                notes.add(
                    &format!("bug.{i}.id"),
                    format!("a second `{}`", bug.id),
                    "an id of its own",
                    "the id names the bug in tables and folders",
                );
            }
        }
        let mistakes = notes.mistakes();
        catalogue.unless(mistakes)
    }

    /// The bugs, in the order of the file.
    pub fn bugs(&self) -> &[Bug] {
        &self.bugs
    }

    /// Whether there are the rules, scenarios and services that the bugs of these ids name.
    ///
    /// # Errors
    /// Something is named that there is not.
    pub fn check(
        self,
        asked: impl Fn(&Bug) -> bool,
        scenarios: &[&str],
        services: &[&str],
    ) -> Result<Self, CatalogueError> {
        let tree = DeTable::parse(&self.text)
            .map_err(|error| refused(&self.file, &self.text, vec![syntax(&error)]))?;
        let invariants = invariant::ALL.iter().map(|rule| rule.id);
        let rules: Vec<_> = invariants.chain(ops::RULES.iter().map(|rule| rule.id)).collect();
        let mut notes = Notes::new(tree.get_ref());
        for (i, bug) in self.bugs.iter().enumerate().filter(|(_, bug)| asked(bug)) {
            let services_named: Vec<_> = bug.services.iter().map(Name::to_string).collect();
            notes.known(i, "caught_by", "rule", &bug.caught_by, &rules);
            notes.known(i, "scenarios", "scenario", &bug.scenarios, scenarios);
            notes.known(i, "services", "service", &services_named, services);
        }
        let mistakes = notes.mistakes();
        self.unless(mistakes)
    }

    fn unless(self, mistakes: Vec<Mistake>) -> Result<Self, CatalogueError> {
        if mistakes.is_empty() {
            Ok(self)
        } else {
            Err(refused(&self.file, &self.text, mistakes))
        }
    }
}

fn refused(file: &str, text: &str, mistakes: Vec<Mistake>) -> CatalogueError {
    CatalogueError {
        file: NamedSource::new(file, text.to_owned()),
        mistakes,
    }
}

/// Mistakes as they are found, with the tree that tells where.
struct Notes<'a> {
    tree: &'a DeTable<'a>,
    mistakes: Vec<Mistake>,
}

impl<'a> Notes<'a> {
    fn new(tree: &'a DeTable<'a>) -> Self {
        Self {
            tree,
            mistakes: Vec::new(),
        }
    }

    fn add(&mut self, path: &str, message: String, expected: &str, help: impl Into<String>) {
        let (_, value) = spans_of(self.tree, path);
        self.mistakes.push(Mistake {
            span: value.into(),
            message,
            expected: expected.to_owned(),
            help: help.into(),
        });
    }

    /// What can be said of one bug without knowing anything else.
    fn bug(&mut self, i: usize, bug: &Bug) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if bug.id.is_empty() || !bug.id.chars().all(plain) {
            self.add(
                &format!("bug.{i}.id"),
                format!("`{}` cannot be an id", bug.id),
                "lower-case letters, digits and hyphens",
                "the id names the bug in tables and folders",
            );
        }
        let of_services = !bug.env.is_empty() || !bug.services.is_empty();
        if of_services && !bug.scripts.is_empty() {
            self.add(
                &format!("bug.{i}.scripts"),
                "both services and scripts are changed".to_owned(),
                "one of the two",
                "a bug has one root cause; make two of it",
            );
        }
        let in_service = of_services || bug.scripts.is_empty();
        let lists = [
            ("env", in_service && bug.env.is_empty(), "nothing switches it on"),
            (
                "services",
                in_service && bug.services.is_empty(),
                "no service is given its variables",
            ),
            ("caught_by", bug.caught_by.is_empty(), "no rule has to notice it"),
            ("scenarios", bug.scenarios.is_empty(), "no scenario looks for it"),
        ];
        for (key, empty, message) in lists {
            if empty {
                let help = "a bug that nothing can show is none of this catalogue";
                self.add(
                    &format!("bug.{i}.{key}"),
                    message.to_owned(),
                    "at least one",
                    help,
                );
            }
        }
    }

    fn known(&mut self, i: usize, key: &str, what: &str, named: &[String], known: &[&str]) {
        for (at, word) in named
            .iter()
            .enumerate()
            .filter(|(_, word)| !known.contains(&word.as_str()))
        {
            let help = match nearest(word, known.iter().copied()) {
                None if known.len() > 30 => format!("there are {} of them", known.len()),
                _ => suggest(word, known),
            };
            let path = format!("bug.{i}.{key}.{at}");
            self.add(
                &path,
                format!("unknown {what} `{word}`"),
                &format!("a known {what}"),
                help,
            );
        }
    }

    fn mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort();
        self.mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::{ABOUT_REPORTS, Bug, Catalogue, CatalogueError};
    use crate::invariant;
    use crate::verdict::{Finding, Kind};

    const TWO: &str = r#"
[[bug]]
id = "first"
like = "it forgets"
env = { BUG = "first" }
services = ["tags"]
caught_by = ["no-loss", "recovered"]
scenarios = ["a::b"]

[[bug]]
id = "second"
like = "it lies"
env = { BUG = "second" }
services = ["tags", "analyzer"]
caught_by = ["atomic"]
scenarios = ["a::c"]
listed = false
baseline = true
"#;

    fn two() -> Catalogue {
        Catalogue::parse("bugs.toml", TWO).unwrap()
    }

    fn said(result: Result<Catalogue, CatalogueError>) -> Vec<(String, String)> {
        let error = result.unwrap_err();
        let said = |mistake: &super::Mistake| (mistake.message.clone(), mistake.help.clone());
        error.mistakes().iter().map(said).collect()
    }

    fn parsed(from: &str, to: &str) -> Vec<(String, String)> {
        assert!(TWO.contains(from), "{from}");
        said(Catalogue::parse("bugs.toml", &TWO.replacen(from, to, 1)))
    }

    #[test]
    fn bugs_are_read_with_their_defaults() {
        let catalogue = two();
        let [first, second] = catalogue.bugs() else {
            panic!("two bugs")
        };
        assert_eq!((first.listed, first.baseline), (true, false));
        assert_eq!((second.listed, second.baseline), (false, true));
        let switched: Vec<_> = second.switch().into_keys().collect();
        assert_eq!(switched, ["analyzer", "tags"]);
        assert_eq!(second.switch()["tags"]["BUG"], "second");
    }

    #[test]
    fn the_catalogue_that_ships_is_read() {
        let text = include_str!("../../../fixtures/bugs/pipeline.toml");
        let catalogue = Catalogue::parse("pipeline.toml", text).unwrap();
        assert!(catalogue.bugs().len() > 30);
    }

    #[test]
    fn mistakes_are_found_where_they_are() {
        let table = [
            ("[[bug]]", "[[bugs]]", "unknown field `bugs`"),
            ("id = \"first\"", "", "missing field `id`"),
            ("like", "likes", "unknown field `likes`"),
            ("\"second\"\nlike", "\"first\"\nlike", "a second `first`"),
            (
                "\"second\"\nlike",
                "\"unmodified\"\nlike",
                "a second `unmodified`",
            ),
            (
                "\"first\"\nlike",
                "\"../first\"\nlike",
                "`../first` cannot be an id",
            ),
            ("env = { BUG = \"first\" }", "env = {}", "nothing switches it on"),
            (
                "services = [\"tags\"]",
                "services = [\"tags\"]\nscripts = { deploy = \"x.sh\" }",
                "both services and scripts are changed",
            ),
            ("[\"tags\"]", "[]", "no service is given its variables"),
            ("[\"no-loss\", \"recovered\"]", "[]", "no rule has to notice it"),
            ("[\"a::b\"]", "[]", "no scenario looks for it"),
        ];
        for (from, to, message) in table {
            let found: Vec<_> = parsed(from, to).into_iter().map(|(message, _)| message).collect();
            assert_eq!(found, [message], "{to}");
        }
        let error = Catalogue::parse("bugs.toml", &TWO.replace("\"it lies\"", "5")).unwrap_err();
        let shown = error.render(100, false);
        assert!(
            shown.contains("catalogue of bugs `bugs.toml` has 1 mistake")
                && shown.contains("bugs.toml:12:8")
                && shown.contains("expected a string"),
            "{shown}"
        );
    }

    #[test]
    fn what_is_named_has_to_be_there_if_it_is_asked_for() {
        let (scenarios, services) = (["a::b", "a::c"], ["analyzer", "tags"]);
        assert!(two().check(|_| true, &scenarios, &services).is_ok());
        let second = |bug: &Bug| bug.id == "second";
        let found = said(two().check(second, &["a::b", "a::cc"], &["tags"]));
        let expected = [
            ("unknown service `analyzer`", "known: tags"),
            ("unknown scenario `a::c`", "did you mean `a::b`?"),
        ];
        assert_eq!(
            found,
            expected.map(|(what, help)| (what.to_owned(), help.to_owned()))
        );
        let first = |bug: &Bug| bug.id == "first";
        assert!(
            two().check(first, &["a::b"], &["tags"]).is_ok(),
            "the second is not asked for"
        );

        let slip = Catalogue::parse("bugs.toml", &TWO.replace("\"no-loss\"", "\"no-los\"")).unwrap();
        let found = said(slip.check(|_| true, &scenarios, &services));
        assert_eq!(found[0].0, "unknown rule `no-los`");
        assert_eq!(found[0].1, "did you mean `no-loss`?");
    }

    #[test]
    fn a_script_may_take_the_place_of_a_good_one() {
        let text = r#"
[[bug]]
id = "third"
like = "it drops pins"
scripts = { deploy = "../ops/bugs/third.sh" }
caught_by = ["pins-complete"]
scenarios = ["a::b"]
"#;
        let catalogue = Catalogue::parse("bugs.toml", text).unwrap();
        let catalogue = catalogue.check(|_| true, &["a::b"], &[]).unwrap();
        let bug = &catalogue.bugs()[0];
        assert!(bug.switch().is_empty());
        assert_eq!(bug.scripts["deploy"], "../ops/bugs/third.sh");
        assert!(bug.is_noticed_by(&Finding::new(Kind::Fail, "pins-complete", "what")));

        let slip = Catalogue::parse("bugs.toml", &text.replace("pins-complete", "pins-completed")).unwrap();
        let found = said(slip.check(|_| true, &["a::b"], &[]));
        assert_eq!(found[0].1, "did you mean `pins-complete`?");
        let neither = text.replace("scripts = { deploy = \"../ops/bugs/third.sh\" }", "");
        let found = said(Catalogue::parse("bugs.toml", &neither));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn only_a_named_rule_that_failed_on_a_report_has_noticed_it() {
        let bug = &two().bugs()[0].clone();
        let found = |kind, rule: &str| Finding::new(kind, rule, "what");
        let about = |finding: Finding| finding.about(["7".into()]);
        let table = [
            (about(found(Kind::Fail, "no-loss")), true),
            (found(Kind::Fail, "no-loss"), false),
            (about(found(Kind::Invalid, "no-loss")), false),
            (about(found(Kind::Hang, "no-loss")), false),
            (about(found(Kind::Fail, "atomic")), false),
            // It may speak of a queue that has no consumer.
            (found(Kind::Fail, "recovered"), true),
        ];
        for (finding, noticed) in table {
            assert_eq!(bug.is_noticed_by(&finding), noticed, "{finding:?}");
        }
    }

    #[test]
    fn rules_about_reports_are_rules() {
        for id in ABOUT_REPORTS {
            assert!(invariant::find(id).is_some(), "{id}");
        }
    }
}
