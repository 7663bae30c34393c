//! Annotations for GitHub Actions: workflow commands that show a finding at the line of its scenario.
//!
//! GitHub shows ten errors and ten warnings of a step, and loses the rest in silence. So there are ten at most, what
//! counts most first, and the last one says how many there are besides.

use std::fmt::Write as _;

use harness_model::verdict::Kind;

use super::forms::{Place, Told, rank};
use super::junit::message;
use super::scene::plain;

/// The most annotations of a step that GitHub shows.
const SHOWN: usize = 10;

/// The commands, one a line.
pub fn text(told: &Told) -> String {
    let cases = told.cases();
    let mut bad: Vec<_> = cases
        .iter()
        .map(|case| (case.worst(), case.name.as_str(), case.place))
        .filter(|(worst, ..)| worst.counts_as() != Kind::Pass || worst.is_held())
        .map(|(worst, name, place)| {
            let level = match worst.counts_as() {
                Kind::Fail | Kind::Hang => "error",
                Kind::Infra | Kind::Invalid => "warning",
                Kind::Pass => "notice",
            };
            let word = worst.verdict.kind.word();
            (rank(worst), level, word, name, place, message(worst))
        })
        .collect();
    // A scenario that was not run is as bad as one that says nothing.
    bad.extend(told.missing.iter().map(|name| {
        let what = format!("not run: {name}: no trial of it is stored");
        let worst = (Kind::Infra, Kind::Infra);
        (
            worst,
            "warning",
            "not run",
            name.as_str(),
            told.places.get(name),
            what,
        )
    }));
    bad.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.3.cmp(b.3)));

    let more = bad.len().saturating_sub(SHOWN);
    let mut out = String::new();
    for (n, (_, level, word, name, place, what)) in bad.into_iter().take(SHOWN).enumerate() {
        let mut what = what;
        if more > 0 && n + 1 == SHOWN {
            _ = write!(what, "\nand {more} more; the step's summary has them all");
        }
        out.push_str(&command(level, &format!("{word}: {name}"), place, &what));
    }
    out
}

fn command(level: &str, title: &str, place: Option<&Place>, what: &str) -> String {
    let mut properties = Vec::new();
    if let Some(place) = place {
        properties.push(format!("file={},line={}", property(&place.file), place.line));
    }
    properties.push(format!("title={}", property(title)));
    let what: Vec<_> = what.lines().map(plain).collect();
    format!("::{level} {}::{}\n", properties.join(","), data(&what.join("\n")))
}

/// The text of a command, escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, escaped.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::{Place, command, data, property};

    #[test]
    fn commands_are_escaped() {
        assert_eq!(data("100 %\r\n::error::x"), "100 %25%0D%0A::error::x");
        assert_eq!(property("a::b, 5 %\n"), "a%3A%3Ab%2C 5 %25%0A");
        let place = Place {
            file: "a,b:c.rs".to_owned(),
            line: 7,
        };
        assert_eq!(
            command(
                "error",
                "fail: a::b",
                Some(&place),
                "lost\n::warning::forged\u{1b}[1m"
            ),
            "::error file=a%2Cb%3Ac.rs,line=7,title=fail%3A a%3A%3Ab::lost%0A::warning::forged\n"
        );
    }
}
