//! Secrets that stand where they must not.
//!
//! Rule `secret-exposed`: a secret is found in the arguments of a process, in a log, in a file or in what an image says
//! of itself, as it is, in base64 or percent-encoded. A finding says which secret and where, and never what it is.
//!
//! Which files may hold it (such as an option file that only its owner can read) is the caller's to know: it leaves them out.

use std::fmt;

use super::fail;
use crate::verdict::Finding;

/// No secret is exposed.
pub const EXPOSED: &str = "secret-exposed";

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

/// Where something was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The arguments of a process.
    Arguments,
    /// A log.
    Log,
    /// A file that was written.
    File,
    /// What an image says of itself: its variables, its history.
    Image,
}

/// A text that was seen.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// What kind of place.
    pub place: Place,
    /// Which one: a command's name, a path, a reference.
    pub name: &'a str,
    /// The text; bytes need not be UTF-8.
    pub text: &'a [u8],
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
        let mark = format!("<secret:{}>", self.name);
        let forms = self.forms().into_iter();
        forms.fold(text.to_owned(), |text, (_, form)| text.replace(&form, &mark))
    }

    /// The ways in which it may be written, each with what it is called.
    fn forms(&self) -> Vec<(&'static str, String)> {
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

/// Rule `secret-exposed`: where each of the secrets is seen.
pub fn exposed(secrets: &[Secret], seen: &[Seen<'_>]) -> Vec<Finding> {
    let hide = |text: &str| {
        secrets
            .iter()
            .fold(text.to_owned(), |text, secret| secret.redact(&text))
    };
    let mut findings = Vec::new();
    for Seen { place, name, text } in seen {
        for secret in secrets {
            let found = secret
                .forms()
                .into_iter()
                .find_map(|(how, form)| Some((how, at(text, form.as_bytes())?)));
            let Some((how, offset)) = found else {
                continue;
            };
            let line = text[..offset].split(|byte| *byte == b'\n').count();
            let name = hide(name);
            let place = match place {
                Place::Arguments => format!("in the arguments of {name}"),
                Place::Log => format!("in log {name}, line {line}"),
                Place::File => format!("in file {name}, line {line}"),
                Place::Image => format!("in what image {name} says of itself"),
            };
            let what = format!("secret {} stands{how} {place}; expected it nowhere", secret.name);
            findings.push(fail(EXPOSED, what));
        }
    }
    findings
}

fn at(text: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return None;
    }
    text.windows(wanted.len()).position(|window| window == wanted)
}
