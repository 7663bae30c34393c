//! Secrets that stand where they must not.
//!
//! Rule `secret-exposed`: a secret is found in the arguments of a process, in a log, in a file, in an object of a store or
//! in an image, as it is, in base64 or percent-encoded. A finding says which secret and where, and never what it is.
//!
//! What is recorded as text has marks in the place of secrets ([`Secret::redact`]), and [`marked`] tells which; bytes are
//! searched by [`Search`]. Which files may hold a secret (such as an option file that only its owner can read) is the
//! caller's to know: it leaves them out.

use std::collections::BTreeSet;
use std::fmt;

use memchr::memmem::Finder;

use super::fail;
use crate::verdict::Finding;

/// No secret is exposed.
pub const EXPOSED: &str = "secret-exposed";

/// What stands in the place of a secret begins with this, and ends with its name and `>`.
const MARK: &str = "<secret:";
/// A secret shorter than this is found everywhere by chance.
const SHORTEST: usize = 8;

/// A secret, with the name that it is spoken of by.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    name: String,
    value: String,
}

/// A secret that is too short to be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("look for secret {name}: it has fewer than {SHORTEST} characters, so it would be found by chance")]
pub struct TooShort {
    name: String,
}

/// Where a secret can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The arguments of a process.
    Arguments,
    /// A log.
    Log,
    /// A file that was written, or its name.
    File,
    /// An object of a store, or its name.
    Object,
    /// An image: its variables, its history, its layers.
    Image,
}

/// A secret that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What it is called, with how it is written there: as [`Search::found`] and [`marked`] say.
    pub secret: String,
    /// What kind of place.
    pub place: Place,
    /// Which one: a command line, a log's name with the line, a path, an image's id. Without secrets.
    pub name: String,
    /// The ledger event that shows it, if one does.
    pub event: Option<u64>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}

impl Secret {
    /// A secret by its name.
    ///
    /// # Errors
    /// It is too short to be looked for.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Result<Self, TooShort> {
        let (name, value) = (name.into(), value.into());
        if value.chars().count() < SHORTEST {
            return Err(TooShort { name });
        }
        Ok(Self { name, value })
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `text` with `<secret:NAME>` in every place of the secret.
    pub fn redact(&self, text: &str) -> String {
        let mark = format!("{MARK}{}>", self.name);
        let forms = self.forms().into_iter();
        forms.fold(text.to_owned(), |text, (_, form)| text.replace(&form, &mark))
    }

    /// The ways in which it may be written, each after what it is called: nothing, ` in base64`, ` percent-encoded`. They are
    /// as secret as it is.
    pub fn forms(&self) -> Vec<(&'static str, String)> {
        let mut forms = vec![
            ("", self.value.clone()),
            (" in base64", base64(self.value.as_bytes())),
        ];
        let percent = percent(&self.value);
        if percent != self.value {
            forms.push((" percent-encoded", percent));
        }
        forms
    }
}

/// Looks for secrets in a stream of any length, such as the layers of an image, a chunk at a time.
#[derive(Debug)]
pub struct Search {
    wanted: Vec<Wanted>,
    /// The end of what was seen, in which one may have begun.
    kept: Vec<u8>,
}

#[derive(Debug)]
struct Wanted {
    name: String,
    how: &'static str,
    finder: Finder<'static>,
    found: bool,
}

impl Search {
    /// Looks for all forms of these secrets.
    pub fn new(secrets: &[Secret]) -> Self {
        let wanted = secrets.iter().flat_map(|secret| {
            secret.forms().into_iter().map(|(how, form)| Wanted {
                name: secret.name.clone(),
                how,
                finder: Finder::new(form.as_bytes()).into_owned(),
                found: false,
            })
        });
        Self {
            wanted: wanted.collect(),
            kept: Vec::new(),
        }
    }

    /// Takes what comes next.
    pub fn take(&mut self, chunk: &[u8]) {
        self.kept.extend_from_slice(chunk);
        let mut longest = 0;
        for wanted in self.wanted.iter_mut().filter(|wanted| !wanted.found) {
            wanted.found = wanted.finder.find(&self.kept).is_some();
            longest = longest.max(wanted.finder.needle().len());
        }
        let old = self.kept.len().saturating_sub(longest.saturating_sub(1));
        self.kept.drain(..old);
    }

    /// What was found so far: the name of each secret, with how it is written.
    pub fn found(&self) -> Vec<String> {
        let found = self.wanted.iter().filter(|wanted| wanted.found);
        found
            .map(|wanted| format!("{}{}", wanted.name, wanted.how))
            .collect()
    }
}

/// Base64 without its padding, and without the last digit that padding could have changed.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks_exact(3) {
        let word = u32::from_be_bytes([0, chunk[0], chunk[1], chunk[2]]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(DIGITS[(word >> shift) as usize & 63]));
        }
    }
    text
}

fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(encode).collect()
}

/// The names of the secrets that stood in a text before they were redacted, each once, in order.
pub fn marked(redacted: &str) -> Vec<String> {
    let marks = redacted.split(MARK).skip(1);
    let names = marks.filter_map(|rest| rest.split_once('>'));
    let names: BTreeSet<_> = names.map(|(name, _)| name.to_owned()).collect();
    names.into_iter().collect()
}

/// Rule `secret-exposed`: where each of the secrets stands.
pub fn exposed(seen: &[Sighting]) -> Vec<Finding> {
    let each = seen.iter().map(|sighting| {
        let Sighting { secret, name, .. } = sighting;
        let place = match sighting.place {
            Place::Arguments => "in the arguments of",
            Place::Log => "in the log",
            Place::File => "in the file",
            Place::Object => "in the object",
            Place::Image => "in the image",
        };
        let what = format!("secret {secret} stands {place} {name}; expected it nowhere");
        fail(EXPOSED, what).shown_by(sighting.event)
    });
    each.collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Search, Secret, marked};

    fn search(chunks: &[&[u8]]) -> Vec<String> {
        let secrets = [("db", "pass/word-1"), ("other", "hunter2hunter2")];
        let mut search = Search::new(&secrets.map(|(name, value)| Secret::new(name, value).unwrap()));
        for chunk in chunks {
            search.take(chunk);
        }
        search.found()
    }

    #[test]
    fn a_stream_is_searched_for_every_form() {
        assert_eq!(search(&[b"layer pass/word-1 layer"]), ["db"]);
        assert_eq!(
            search(&[b"dburl=mysql://u:pass%2Fword-1@h"]),
            ["db percent-encoded"]
        );
        // base64 of `x` and of a header in front of it is another text; of the value alone it is this.
        assert_eq!(search(&[b"cGFzcy93b3JkLTE="]), ["db in base64"]);
        assert!(search(&[b"pass/word-2", b"", b"hunter2"]).is_empty());
    }

    #[test]
    fn marks_tell_which_secrets_stood_in_a_text() {
        let secret = |name: &str, value: &str| Secret::new(name, value).unwrap();
        let (db, other) = (secret("db", "pass/word-1"), secret("other", "hunter2hunter2"));
        let redact = |text: &str| other.redact(&db.redact(text));
        for (text, names) in [
            ("x --password=pass/word-1 pass%2Fword-1", &["db"][..]),
            ("hunter2hunter2pass/word-1", &["db", "other"]),
            ("pass/word-2 <secret:", &[]),
        ] {
            assert_eq!(marked(&redact(text)), names, "{text}");
        }
    }

    proptest! {
        #[test]
        fn where_chunks_end_does_not_matter(before in 0_usize..40, size in 1_usize..30) {
            let text = format!("{}hunter2hunter2 and {}", "h".repeat(before), "x".repeat(40));
            let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(search(&chunks), vec!["other".to_owned()]);
        }
    }
}
