//! What a platform allows itself: the policy file, in TOML.
//!
//! ```toml
//! [ports]
//! public = [22, 80, 443]          # the default; everything else stays on this machine
//!
//! [[ports.exception]]
//! port = 8080
//! service = "web"                 # may be absent: then whoever listens there
//! owner = "mobile team"
//! reason = "old clients"
//! expires = 2027-01-31
//!
//! [images]
//! internal = "registry.example/platform/"
//!
//! [[images.exception]]
//! image = "rabbitmq"              # a whole reference, or one without its tag
//! owner = "operations"
//! reason = "pinned by the base image's release process"
//! expires = 2027-03-31
//! ```
//!
//! An exception holds until the end of its day, UTC. There is none without an owner, a reason and an end.

use std::collections::BTreeSet;

use jiff::civil::Date;
use miette::{Diagnostic, NamedSource};
use serde::{Deserialize, Deserializer};
use toml::de::{DeTable, Deserializer as Reader};

use crate::topology::parse::{Mistake, count, render, shape, spans_of, syntax};

/// Ports that may be open to everybody when a policy names none.
const PUBLIC: [u16; 3] = [22, 80, 443];

/// A policy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Which ports may be open.
    #[serde(default)]
    pub ports: PortPolicy,
    /// Which images need no pin.
    #[serde(default)]
    pub images: ImagePolicy,
}

/// Which ports may be open to others than this machine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortPolicy {
    /// TCP ports that may be open to everybody.
    #[serde(default = "public")]
    pub public: BTreeSet<u16>,
    /// What else may be open for a while.
    #[serde(default, rename = "exception")]
    pub exceptions: Vec<PortException>,
}

/// A port that may be open for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortException {
    /// The port on the machine.
    pub port: u16,
    /// What is spoken there.
    #[serde(default = "tcp")]
    pub protocol: String,
    /// The service that it is for; absent: whoever listens.
    #[serde(default)]
    pub service: Option<String>,
    /// Who answers for it.
    pub owner: String,
    /// Why it is there.
    pub reason: String,
    /// Its last day.
    #[serde(deserialize_with = "date")]
    pub expires: Date,
}

/// Which images need no pin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImagePolicy {
    /// What the references of the platform's own images begin with; there is no exception for these.
    #[serde(default)]
    pub internal: Option<String>,
    /// What may run without a pin for a while.
    #[serde(default, rename = "exception")]
    pub exceptions: Vec<ImageException>,
}

/// An image that may run without a pin for a while.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageException {
    /// Its reference, or its reference without the tag.
    pub image: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is there.
    pub reason: String,
    /// Its last day.
    #[serde(deserialize_with = "date")]
    pub expires: Date,
}

/// A policy file that is refused.
#[derive(Debug, Clone, thiserror::Error, Diagnostic)]
#[error("policy `{}` has {}", file.name(), count(mistakes.len()))]
pub struct PolicyError {
    #[source_code]
    file: NamedSource<String>,
    #[related]
    mistakes: Vec<Mistake>,
}

impl PolicyError {
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

fn public() -> BTreeSet<u16> {
    PUBLIC.into()
}

fn tcp() -> String {
    "tcp".to_owned()
}

/// A date, as TOML's own or as text.
fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Toml(toml::value::Datetime),
        Text(String),
    }
    let text = match Written::deserialize(deserializer)? {
        Written::Toml(date) => date.to_string(),
        Written::Text(text) => text,
    };
    text.parse().map_err(|_| {
        serde::de::Error::custom(format!("`{text}` is no day, expected a date such as 2027-01-31"))
    })
}

impl Default for PortPolicy {
    fn default() -> Self {
        Self {
            public: public(),
            exceptions: Vec::new(),
        }
    }
}

impl Policy {
    /// Reads the TOML in `text`; `file` is only shown in errors.
    ///
    /// # Errors
    /// The text is no policy; each mistake is shown with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, PolicyError> {
        let refused = |mistakes| PolicyError {
            file: NamedSource::new(file, text.to_owned()),
            mistakes,
        };
        let tree = DeTable::parse(text).map_err(|error| refused(vec![syntax(&error)]))?;
        let policy =
            Self::deserialize(Reader::from(tree.clone())).map_err(|error| refused(vec![shape(&error)]))?;
        let mistakes = policy.mistakes(tree.get_ref());
        if mistakes.is_empty() {
            Ok(policy)
        } else {
            Err(refused(mistakes))
        }
    }

    /// What is of the right type and makes no sense.
    fn mistakes(&self, tree: &DeTable<'_>) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut add = |path: String, message: &str, expected: &str, help: &str| {
            let (_, value) = spans_of(tree, &path);
            mistakes.push(Mistake {
                span: value.into(),
                message: message.to_owned(),
                expected: expected.to_owned(),
                help: help.to_owned(),
            });
        };
        let who = "somebody has to be asked when it ends";
        for (i, exception) in self.ports.exceptions.iter().enumerate() {
            let at = |key: &str| format!("ports.exception.{i}.{key}");
            if exception.owner.trim().is_empty() {
                add(at("owner"), "an exception without an owner", "a name", who);
            }
            if exception.reason.trim().is_empty() {
                add(at("reason"), "an exception without a reason", "a sentence", who);
            }
            if !["tcp", "udp"].contains(&exception.protocol.as_str()) {
                add(
                    at("protocol"),
                    "an unknown protocol",
                    "`tcp` or `udp`",
                    "leave it out for tcp",
                );
            }
            if self.ports.public.contains(&exception.port) && exception.protocol == "tcp" {
                add(
                    at("port"),
                    "an exception for a port that is public",
                    "a port that is not",
                    "remove one of the two",
                );
            }
        }
        for (i, exception) in self.images.exceptions.iter().enumerate() {
            let at = |key: &str| format!("images.exception.{i}.{key}");
            if exception.owner.trim().is_empty() {
                add(at("owner"), "an exception without an owner", "a name", who);
            }
            if exception.reason.trim().is_empty() {
                add(at("reason"), "an exception without a reason", "a sentence", who);
            }
            if exception.image.trim().is_empty() {
                add(
                    at("image"),
                    "an exception for no image",
                    "a reference",
                    "name the image",
                );
            }
        }
        mistakes.sort();
        mistakes
    }
}
