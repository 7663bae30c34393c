//! Reports from a seed, for load and for long runs.
//!
//! Report `i` depends on the seed and on `i` alone. Choices are made with integers only, and floats are made from
//! integers by one division, so that a seed means the same reports on every platform. Generated reports have no
//! picture: a test that needs one takes it from the corpus.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

use super::phrases::{APPS, CITIES, DIGITAL_TAGS, ENDINGS, INVALID_TAGS, PHYSICAL_TAGS};
use super::sentences::{LANGUAGES, Language, Sentences};
use super::{Kind, PUBLIC, Report, Status, Tags};
use crate::seed::Seed;

/// The first `n` reports of `seed`.
pub fn generate(seed: Seed, n: usize) -> Vec<Report> {
    (0..n as u64).map(|index| generated(seed, index)).collect()
}

/// The report at `index` of `seed`.
pub fn generated(seed: Seed, index: u64) -> Report {
    let mut dice = Dice(seed.derive("reports").stream(&index.to_string()));
    let kind = if dice.percent(50) {
        Kind::Physical
    } else {
        Kind::Digital
    };
    let language = dice.pick(LANGUAGES);
    let (app, page) = dice.pick(APPS);
    let description = dice.description(&language, kind, app);
    let tags = dice.tags(kind);
    let (latitude, longitude) = dice.position();
    let collector = dice
        .percent(25)
        .then(|| dice.pick(&["collector-web", "collector-store", "collector-mail"]));
    Report {
        name: format!("generated-{index}"),
        // At most 4 + 13 + 1 + 13 of 32 characters: 64 bits are 13 digits to the base 36.
        public_id: format!("gen-{}-{}", base36(seed.0), base36(index)),
        id: format!("citizen-{}", dice.below(100_000)),
        team: i32::from(dice.percent(30)),
        latitude,
        longitude,
        x: dice.fraction(),
        y: dice.fraction(),
        action_id: dice.percent(10).then(|| format!("campaign-{}", dice.below(20))),
        description,
        tags,
        fetcher_id: collector.map(str::to_owned),
        source_id: collector.map(|_| format!("{:016x}", dice.0.next_u64())),
        visibility: if dice.percent(95) {
            PUBLIC
        } else {
            dice.pick(&["shadow", "private"])
        }
        .to_owned(),
        owners: (0..dice.below(12).saturating_sub(9))
            .map(|i| format!("owner-{i}"))
            .collect(),
        owners_public: dice.percent(70),
        status: if dice.percent(92) {
            Status::Active
        } else {
            Status::Resolved
        },
        url: (kind == Kind::Digital && dice.percent(60)).then(|| page.to_owned()),
        image: None,
        kind,
    }
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize]);
        number /= 36;
        if number == 0 {
            digits.reverse();
            return digits.into_iter().map(char::from).collect();
        }
    }
}

/// The source of all choices of one report.
struct Dice(ChaCha8Rng);

impl Dice {
    /// A number below `n`. The bias of multiplying instead of rejecting is beyond anything a test could notice.
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    fn fraction(&mut self) -> Option<f32> {
        self.percent(20).then(|| self.below(1001) as f32 / 1000.0)
    }

    /// Around a city, and seldom at an extreme.
    fn position(&mut self) -> (f32, f32) {
        if self.percent(3) {
            return self.pick(&[
                (90.0, 0.0),
                (-90.0, 180.0),
                (0.0, 0.0),
                (-0.0, -180.0),
                (51.5, -0.0),
            ]);
        }
        let (latitude, longitude) = self.pick(CITIES);
        let mut near = |centre: i32| {
            let micro_degrees = i64::from(centre) + self.below(100_001).cast_signed() - 50_000;
            (micro_degrees as f64 / 1e6) as f32
        };
        (near(latitude), near(longitude))
    }

    fn description(&mut self, language: &Language, kind: Kind, app: &str) -> Option<String> {
        let length = self.below(100);
        let sentences = match kind {
            Kind::Physical => &language.physical,
            Kind::Digital => &language.digital,
        };
        let mut text = match length {
            0..2 => return None,
            2..5 => return Some(String::new()),
            5..50 => self.sentence(sentences.problems, language, app),
            50..93 => self.paragraph(sentences, language, app),
            // Several kilobytes: the citizen who lists everything.
            _ => {
                let paragraphs = 8 + self.below(40);
                let listed: Vec<_> = (1..=paragraphs)
                    .map(|i| format!("{i}. {}", self.paragraph(sentences, language, app)))
                    .collect();
                listed.join("\n")
            }
        };
        if self.percent(20) {
            text.push_str(self.pick(ENDINGS));
        }
        Some(text)
    }

    fn paragraph(&mut self, sentences: &Sentences, language: &Language, app: &str) -> String {
        [sentences.problems, sentences.details, sentences.wishes]
            .map(|from| self.sentence(from, language, app))
            .join(" ")
    }

    fn sentence(&mut self, from: &[&str], language: &Language, app: &str) -> String {
        let at = format!("{} {}", self.pick(language.streets), 1 + self.below(240));
        let number = (2 + self.below(97)).to_string();
        self.pick(from)
            .replace("{at}", &at)
            .replace("{app}", app)
            .replace("{n}", &number)
    }

    fn tags(&mut self, kind: Kind) -> Tags {
        match self.below(100) {
            0..8 => return Tags::Absent,
            8..12 => return Tags::Null,
            12..16 => return Tags::List(Vec::new()),
            _ => {}
        }
        let pool = match kind {
            Kind::Physical => PHYSICAL_TAGS,
            Kind::Digital => DIGITAL_TAGS,
        };
        let tag = |dice: &mut Self| {
            if dice.percent(10) {
                dice.pick(INVALID_TAGS).to_owned()
            } else {
                dice.dressed(pool)
            }
        };
        Tags::List((0..=self.below(6)).map(|_| tag(self)).collect())
    }

    /// A tag as somebody might type it: the dress does not change its canonical form.
    fn dressed(&mut self, pool: &[&str]) -> String {
        let plain = self.pick(pool);
        match self.below(8) {
            0 => format!("#{plain}"),
            1 => format!("  {plain} "),
            2 => format!("#{plain}\n"),
            3 => plain.chars().map(|c| c.to_ascii_uppercase()).collect(),
            4 => plain.chars().map(wide).collect(),
            _ => plain.to_owned(),
        }
    }
}

/// The full-width form of an ASCII letter or digit.
fn wide(c: char) -> char {
    let offset = u32::from('Ａ') - u32::from('A');
    if c.is_ascii_alphanumeric() {
        char::from_u32(u32::from(c) + offset).unwrap_or(c)
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::report::{canonical_tag, expected_tags, raw_message};

    #[test]
    fn a_seed_means_the_same_reports_for_ever() {
        let mut hash = Sha256::new();
        for report in generate(Seed(1), 1000) {
            hash.update(serde_json::to_vec(&report).unwrap());
        }
        assert_eq!(
            hash.finalize()[..8],
            [0xbf, 0x39, 0xd6, 0xeb, 0x14, 0x3c, 0xd6, 0x31]
        );
    }

    #[test]
    fn ten_thousand_reports_are_distinct_and_mixed() {
        let reports = generate(Seed(42), 10_000);
        let distinct =
            |value: &dyn Fn(&Report) -> String| reports.iter().map(value).collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(&|r| r.public_id.clone()), reports.len());
        assert_eq!(distinct(&|r| r.name.clone()), reports.len());
        assert!(distinct(&|r| r.description.clone().unwrap_or_default()) > 9_000);
        assert!(distinct(&|r| format!("{} {}", r.latitude, r.longitude)) > 9_000);

        let count = |property: &dyn Fn(&Report) -> bool| reports.iter().filter(|r| property(r)).count();
        let text = |r: &Report| r.description.clone().unwrap_or_default();
        for (what, found, wanted) in [
            ("physical", count(&|r| r.kind == Kind::Physical), 4_800..5_200),
            ("no description", count(&|r| r.description.is_none()), 100..300),
            (
                "empty description",
                count(&|r| r.description.as_deref() == Some("")),
                200..400,
            ),
            ("long", count(&|r| text(r).len() > 1_000), 300..900),
            ("not ascii", count(&|r| !text(r).is_ascii()), 7_000..9_500),
            (
                "four-byte character",
                count(&|r| text(r).chars().any(|c| c.len_utf8() == 4)),
                300..1_000,
            ),
            ("no tags", count(&|r| r.tags.is_absent()), 700..900),
            ("null tags", count(&|r| r.tags == Tags::Null), 300..500),
            ("empty tags", count(&|r| r.tags == Tags::List(vec![])), 300..500),
            (
                "invalid tag",
                count(&|r| r.tags.as_slice().iter().any(|t| canonical_tag(t).is_none())),
                2_000..3_500,
            ),
            (
                "valid tag",
                count(&|r| !expected_tags(r).is_empty()),
                7_500..8_400,
            ),
            ("not public", count(&|r| !r.is_public()), 400..600),
            ("resolved", count(&|r| r.status == Status::Resolved), 700..900),
            ("owned", count(&|r| !r.owners.is_empty()), 1_400..1_900),
            ("fetched", count(&|r| r.fetcher_id.is_some()), 2_300..2_700),
            (
                "extreme position",
                count(&|r| r.latitude.abs() >= 90.0 || r.latitude == 0.0),
                150..400,
            ),
        ] {
            assert!(
                wanted.contains(&found),
                "{what}: {found} reports, wanted {wanted:?}"
            );
        }
    }

    #[test]
    fn phrases_are_usable() {
        for tag in PHYSICAL_TAGS.iter().chain(DIGITAL_TAGS) {
            assert!(canonical_tag(tag).is_some(), "{tag}");
        }
        for tag in INVALID_TAGS {
            assert_eq!(canonical_tag(tag), None);
        }
        for report in generate(Seed(3), 2_000) {
            assert!(!report.description.unwrap_or_default().contains(['{', '}']));
        }
    }

    #[test]
    fn the_largest_seed_and_index_make_a_public_id_that_fits() {
        let report = generated(Seed(u64::MAX), u64::MAX);
        assert!(report.public_id.len() <= 32, "{}", report.public_id);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn fewer_reports_are_a_prefix_of_more(seed: u64, few in 0_usize..20, more in 20_usize..40) {
            prop_assert_eq!(&generate(Seed(seed), few), &generate(Seed(seed), more)[..few]);
        }

        #[test]
        fn seeds_share_no_report(one: u64, other: u64) {
            prop_assume!(one != other);
            let ids = |seed| generate(Seed(seed), 20).into_iter().map(|r| r.public_id).collect::<BTreeSet<_>>();
            prop_assert!(ids(one).is_disjoint(&ids(other)));
        }

        #[test]
        fn a_generated_report_passes_the_checks_of_the_corpus(seed: u64, index: u64) {
            let report = generated(Seed(seed), index);
            let stored = serde_json::to_string(&report).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Report>(&stored).unwrap(), &report);
            let sent = raw_message(index, &report);
            prop_assert_eq!(sent["seq"].as_u64(), Some(index));
        }
    }
}
