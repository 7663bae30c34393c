//! What makes two failures the same failure.
//!
//! The fingerprint of a finding is its kind, its rule and a hash of what the rule says in its first line, without what
//! differs from run to run: numbers, identifiers, how many of them are listed, singular or plural. Where a report was last
//! seen and which fault was in force is added to every finding, and is no part of it. It is stable across seeds and machines, and it changes when
//! the wording of a rule changes: who rewords a rule renews the fingerprints that were recorded for it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::invariant::context;
use crate::verdict::{Finding, Kind, Verdict};

/// The fingerprint of a finding, as `KIND/RULE/HASH`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The fingerprint of a finding.
    pub fn of(finding: &Finding) -> Self {
        let line = finding.what.lines().next().unwrap_or_default();
        let text = normalised(context::own(line));
        let hash = xxh3_64(text.as_bytes());
        Self(format!("{}/{}/{hash:016x}", finding.kind.word(), finding.rule))
    }

    /// The fingerprints of all that says something bad about the pipeline, each once, in order.
    pub fn all(verdict: &Verdict) -> Vec<Self> {
        let bad = |finding: &&Finding| matches!(finding.kind, Kind::Fail | Kind::Hang);
        let mut all: Vec<_> = verdict.findings.iter().filter(bad).map(Self::of).collect();
        all.sort();
        all.dedup();
        all
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Fingerprint {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        match text.split('/').collect::<Vec<_>>()[..] {
            ["fail" | "hang", rule, hash] if !rule.is_empty() && is_hash(hash) => Ok(Self(text.to_owned())),
            _ => Err(format!(
                "`{text}` is no fingerprint, expected KIND/RULE/HASH as the report shows it"
            )),
        }
    }
}

/// `text` in lower case and in the singular, with `#` for each number or identifier, and one `#` for a list of them.
fn normalised(text: &str) -> String {
    let mut out = String::new();
    let mut after_last = None;
    for token in tokens(text) {
        let shown = if is_number(token) {
            // Only separators since the last one: it is the same list.
            if let Some(end) = after_last
                && out[end..]
                    .split([' ', ',', ';', '.', ':', '-', '#'])
                    .all(|word| word.is_empty() || word == "and")
            {
                out.truncate(end);
                continue;
            }
            "#".to_owned()
        } else if token.trim().is_empty() {
            " ".to_owned()
        } else {
            singular(token.to_lowercase())
        };
        out.push_str(&shown);
        if shown == "#" {
            after_last = Some(out.len());
        }
    }
    out.trim().to_owned()
}

/// A word without what makes it a plural, as far as its end tells; it need not be a word of the language any more.
fn singular(mut word: String) -> String {
    match word.as_str() {
        "were" => return "was".to_owned(),
        "are" => return "is".to_owned(),
        "have" => return "has".to_owned(),
        _ => {}
    }
    if word.len() > 4 && word.ends_with("ies") {
        word.truncate(word.len() - 3);
        word.push('y');
    } else if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
    word
}

/// Words, runs of white space, and single other characters.
fn tokens(text: &str) -> Vec<&str> {
    let class = |c: char| match c {
        c if c.is_alphanumeric() => 1,
        c if c.is_whitespace() => 2,
        _ => 0,
    };
    let mut found = Vec::new();
    let mut start = 0;
    let mut before = None;
    for (at, c) in text.char_indices() {
        let now = class(c);
        if before.is_some_and(|before| before != now || now == 0) {
            found.push(&text[start..at]);
            start = at;
        }
        before = Some(now);
    }
    found.push(&text[start..]);
    found
}

/// A number, with or without a unit, or a long word with digits in it, such as a container's id. `C1` is neither.
fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit())
        || (word.len() >= 6 && word.contains(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Fingerprint, normalised};
    use crate::invariant::context;
    use crate::verdict::{Finding, Kind, Verdict};

    #[test]
    fn what_differs_from_run_to_run_is_left_out() {
        let table = [
            (
                "report 17 was confirmed and is nowhere",
                "report # was confirmed and is nowhere",
            ),
            ("reports 3, 4, 5 and 7 of  tags", "report # of tag"),
            (
                "2 retries of one class were lost",
                "# retry of one class was lost",
            ),
            ("container 3f2a9c is gone", "container # is gone"),
            ("queue amq.gen-a81bc81b is gone", "queue amq.gen-# is gone"),
            ("held in C1 for 2500ms", "held in c1 for #"),
            ("took 2.5 s", "took # s"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(normalised(text), expected);
        }
    }

    #[test]
    fn kind_rule_and_text_tell_failures_apart() {
        let of = |kind, rule: &str, what: &str| Fingerprint::of(&Finding::new(kind, rule, what));
        let one = of(Kind::Fail, "no-loss", "report 17 is nowhere\nlast seen in tags");
        assert_eq!(one, of(Kind::Fail, "no-loss", "report 4 is nowhere"));
        for other in [
            of(Kind::Hang, "no-loss", "report 17 is nowhere"),
            of(Kind::Fail, "atomic", "report 17 is nowhere"),
            of(Kind::Fail, "no-loss", "report 17 is there twice"),
        ] {
            assert_ne!(one, other);
        }
        assert!(one.to_string().starts_with("fail/no-loss/"), "{one}");
        assert_eq!(one.to_string().parse(), Ok(one));
    }

    #[test]
    fn a_fingerprint_never_changes_between_versions() {
        let finding = Finding::new(Kind::Fail, "no-loss", "report 17 is nowhere");
        assert_eq!(
            Fingerprint::of(&finding).to_string(),
            "fail/no-loss/fbf404761fcdc997"
        );
    }

    #[test]
    fn what_is_added_to_a_rules_words_makes_no_difference() {
        let phantom = "report 18: found in report_tags, but it was never injected";
        let durable = "analyzer published 1 message to exchange \"cleanapp\" with key report.analysed that would not \
                       survive the broker: delivery mode 1, the first at #15";
        let rows = "report 17: 2 rows for language de in report_analysis; one would be right";
        let copies = "report 17: delivered from queue tags again at #35, after #20 (acknowledged at #28); nothing \
                      explains it: 1 copy published to this queue";
        for (own, others) in [
            (
                phantom,
                &[
                    "report 3: found in report_tags, but it was never injected; last seen at #32: acknowledged by renderer",
                    "report 3: found in report_tags, but it was never injected; last seen at #7: delivered to tags from \
                     report-tags; before SIGKILL of broker (fault-1, bitten at #39, healed at #41)",
                ][..],
            ),
            (
                durable,
                &[
                    "analyzer published 12 messages to exchange \"cleanapp\" with key report.analysed that would not \
                     survive the broker: delivery mode 1, the first at #9; after SIGKILL of broker (fault-1, from #4 on)",
                ],
            ),
            (
                rows,
                &[
                    "report 17: 2 rows for language de in report_analysis; one would be right; see #18 and #33; while RST \
                     on the link from analyzer to the broker (fault-1, bitten at #27, healed at #29) was in force",
                    "report 2: 3 rows for language de in report_analysis; one would be right; see #18, #33, #40 and 2 more",
                    "report 17: 2 rows for language de in report_analysis; one would be right; see #4; while SIGKILL of \
                     broker (fault-1, bitten at #24, healed at #26) and RST on the link from tags to the broker (fault-2, \
                     bitten at #27, never healed) were in force",
                ],
            ),
            (
                copies,
                &[
                    "report 1: delivered from queue tags again at #5, after #2 (acknowledged at #3); nothing explains it: 2 \
                     copies published to this queue; while half-open on the link from analyzer to the broker (fault-1, \
                     bitten at #34, healed at #37) was in force",
                ],
            ),
        ] {
            let print = |what: &str| Fingerprint::of(&Finding::new(Kind::Fail, "rule", what));
            for other in others {
                assert_eq!(print(own), print(other), "{other}");
            }
        }
    }

    #[test]
    fn nothing_that_is_added_is_in_the_fingerprint_of_any_golden() {
        let goldens = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/goldens");
        let mut added = 0;
        for entry in std::fs::read_dir(goldens).unwrap() {
            let path = entry.unwrap().path();
            let Some(text) = path.is_file().then(|| std::fs::read_to_string(&path).unwrap()) else {
                continue;
            };
            for line in text.lines().filter(|line| line.starts_with("fail ")) {
                let own = context::own(line);
                added += usize::from(own != line);
                for word in ["bitten at", "last seen", "see #", "healed at"] {
                    assert!(!own.contains(word), "{own}");
                }
            }
        }
        assert!(added > 10, "{added}");
    }

    #[test]
    fn only_what_is_said_of_the_pipeline_counts() {
        let found = |kind, what: &str| Finding::new(kind, "rule", what);
        let verdict = Verdict::of(vec![
            found(Kind::Invalid, "nothing bit"),
            found(Kind::Fail, "lost 1"),
            found(Kind::Fail, "lost 2"),
            found(Kind::Infra, "no engine"),
            found(Kind::Hang, "late"),
        ]);
        let all = Fingerprint::all(&verdict);
        assert_eq!(all.len(), 2, "{all:?}");
    }

    #[test]
    fn other_texts_are_no_fingerprints() {
        for text in [
            "",
            "fail/no-loss",
            "infra/x/0123456789abcdef",
            "fail//0123456789abcdef",
            "fail/x/123",
            "fail/x/0123456789abcdeg",
        ] {
            let refused = text.parse::<Fingerprint>().unwrap_err();
            assert!(refused.contains("is no fingerprint, expected "), "{refused}");
        }
    }

    proptest! {
        #[test]
        fn numbers_make_no_difference(a in 0_u64.., b in 0_u64.., text in "[a-z ]{0,12}") {
            prop_assert_eq!(normalised(&format!("{text}{a} is lost")).replace(' ', ""),
                normalised(&format!("{text}{b} is lost")).replace(' ', ""));
        }
    }
}
