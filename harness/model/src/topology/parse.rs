//! Reading a topology file, and saying what is wrong with it.
//!
//! Three passes: TOML syntax, then keys and types (serde), then meaning (`check`: roles, names, limits, pointers,
//! templates). The first two stop at their first mistake, because what follows one would be guesswork; the third
//! reports all it finds. Every [`Mistake`] points at its place in the text.

use std::ops::Range;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, NamedSource, SourceSpan};
use serde::Deserialize;
use toml::de::{DeArray, DeTable, Deserializer};

use super::{Topology, check, nearest::nearest};

/// A topology file that is refused.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("topology `{}` has {}", file.name(), count(mistakes.len()))]
pub struct TopologyError {
    #[source_code]
    file: NamedSource<String>,
    #[related]
    mistakes: Vec<Mistake>,
}

/// One mistake in a topology file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct Mistake {
    /// Where it is, in bytes of the text.
    #[label("expected {expected}")]
    pub span: SourceSpan,
    /// What is wrong.
    pub message: String,
    /// What was expected there.
    pub expected: String,
    /// What to do about it.
    #[help]
    pub help: String,
}

impl Topology {
    /// Reads the TOML in `text`; `file_name` is only shown in errors.
    pub fn parse(file_name: &str, text: &str) -> Result<Self, TopologyError> {
        let read = || {
            let tree = DeTable::parse(text).map_err(|error| vec![syntax(&error)])?;
            let topology =
                Self::deserialize(Deserializer::from(tree.clone())).map_err(|error| vec![shape(&error)])?;
            let mistakes = check::check(&topology, tree.get_ref());
            if mistakes.is_empty() {
                Ok(topology)
            } else {
                Err(mistakes)
            }
        };
        read().map_err(|mistakes| TopologyError {
            file: NamedSource::new(file_name, text.to_owned()),
            mistakes,
        })
    }
}

impl TopologyError {
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

/// A refused file as text for people; see [`TopologyError::render`].
pub(crate) fn render(error: &dyn Diagnostic, width: usize, colours: bool) -> String {
    let theme = if colours {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let mut text = String::new();
    GraphicalReportHandler::new_themed(theme)
        .with_width(width)
        .render_report(&mut text, error)
        .expect("writing to a string does not fail");
    text
}

pub(crate) fn count(mistakes: usize) -> String {
    if mistakes == 1 {
        "1 mistake".to_owned()
    } else {
        format!("{mistakes} mistakes")
    }
}

/// The help for a word that is not among the `known` ones.
pub(crate) fn suggest(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if known.is_empty() => "none is known".to_owned(),
        None => format!("known: {}", known.join(", ")),
    }
}

/// Text that is not TOML.
pub(crate) fn syntax(error: &toml::de::Error) -> Mistake {
    let (message, expected) = parts(error);
    let expected = match (message.as_str(), expected.as_str()) {
        ("duplicate key", _) => "each key once".to_owned(),
        (_, "") => "valid TOML".to_owned(),
        _ => expected,
    };
    Mistake {
        span: error.span().unwrap_or_default().into(),
        message,
        expected,
        help: "correct the syntax first: nothing else has been checked".to_owned(),
    }
}

const NUMBER: &str = "write the number in digits, without quotes";
const TABLE: &str = "write a `[table]` of its own, or `{ key = .. }` on one line";

/// TOML of another shape: an unknown key or word, a missing key, a wrong type.
pub(crate) fn shape(error: &toml::de::Error) -> Mistake {
    let (message, expected) = parts(error);
    let word = message.split('`').nth(1).unwrap_or_default();
    let known: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
    let (expected, help) = if message.starts_with("missing field") {
        (format!("`{word}` in this table"), format!("add `{word} = ..`"))
    } else if message.starts_with("unknown field") {
        ("a known key".to_owned(), suggest(word, &known))
    } else if message.starts_with("unknown variant") {
        ("a known word".to_owned(), suggest(word, &known))
    } else {
        let words = match expected.as_str() {
            "u16" => ("a whole number from 0 to 65535", NUMBER),
            "u32" => ("a whole number from 0 to 4294967295", NUMBER),
            "u64" => ("a whole number of at least 0", NUMBER),
            "a boolean" => ("true or false", "write the word without quotes"),
            "a string" => ("a string", "write the text in double quotes"),
            "a sequence" => (
                "an array",
                "write the elements in brackets, with commas between them",
            ),
            other if other == "a map" || other.starts_with("struct ") => ("a table", TABLE),
            other => (other, "write a value of this type"),
        };
        (words.0.to_owned(), words.1.to_owned())
    };
    Mistake {
        span: error.span().unwrap_or_default().into(),
        message,
        expected,
        help,
    }
}

/// What is wrong, and what was expected instead.
fn parts(error: &toml::de::Error) -> (String, String) {
    let (message, expected) = error
        .message()
        .rsplit_once(", expected ")
        .unwrap_or((error.message(), ""));
    (message.to_owned(), expected.to_owned())
}

/// The places of the last key of `path` and of its value; where the path ends early, those of what is there of it.
/// Paths are dotted; an element of an array is a number. Only the last key may hold dots itself.
pub(crate) fn spans_of(tree: &DeTable<'_>, path: &str) -> (Range<usize>, Range<usize>) {
    let mut spans = (0..0, 0..0);
    let (mut table, mut array) = (Some(tree), None);
    let mut rest = path;
    while !rest.is_empty() {
        let (part, after) = rest.split_once('.').unwrap_or((rest, ""));
        let in_table =
            table.and_then(|table| table.get_key_value(part).or_else(|| table.get_key_value(rest)));
        let in_array = array.and_then(|array: &DeArray<'_>| array.get(part.parse::<usize>().ok()?));
        let Some((key, value)) = in_table
            .map(|(key, value)| (key.span(), value))
            .or(in_array.map(|value| (value.span(), value)))
        else {
            break;
        };
        spans = (key, value.span());
        (table, array) = (value.get_ref().as_table(), value.get_ref().as_array());
        rest = after;
    }
    spans
}
