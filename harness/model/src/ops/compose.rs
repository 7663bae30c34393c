//! The configuration that Compose makes of its files, as `docker compose config --format json` prints it.
//!
//! Compose has merged files, filled in variables and written everything in its long form. Only what a check looks at is
//! read; the rest may be whatever Compose likes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A configuration, of one file or of several.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Name of the project.
    #[serde(default)]
    pub name: String,
    /// The services.
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
    /// Top-level volumes; their names are no services.
    #[serde(default)]
    pub volumes: BTreeMap<String, Value>,
    /// Top-level configs; their names are no services.
    #[serde(default)]
    pub configs: BTreeMap<String, Value>,
    /// Top-level networks; their names are no services.
    #[serde(default)]
    pub networks: BTreeMap<String, Value>,
    /// Top-level secrets; their names are no services.
    #[serde(default)]
    pub secrets: BTreeMap<String, Value>,
}

/// A service.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Reference of its image; absent if it is built in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Its ports that are published.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// The networks that it is on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, Value>,
    /// Another way to networks, such as `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_mode: Option<String>,
    /// The profiles that it is started with; none: it is always started.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub profiles: BTreeSet<String>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub depends_on: BTreeMap<String, Value>,
    /// Its variables; one without a value is taken from whoever starts it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, Option<String>>,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A port that is published.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// The port in the container.
    pub target: u16,
    /// The ports on the machine, of which one is taken; absent if the engine chooses any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// The address on the machine; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_ip: Option<String>,
    /// What is spoken: `tcp` or `udp`.
    #[serde(default = "tcp")]
    pub protocol: String,
}

/// One port on the machine or a range of them, which Compose writes as text or as a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Published {
    first: u16,
    last: u16,
}

/// The output of Compose is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read what Compose says of {file}: {cause}")]
pub struct ConfigError {
    file: String,
    cause: String,
}

fn tcp() -> String {
    "tcp".to_owned()
}

impl Config {
    /// Reads what `docker compose config --format json` has printed; `file` is only shown in errors.
    ///
    /// # Errors
    /// It is no JSON of this form.
    pub fn parse(file: &str, json: &str) -> Result<Self, ConfigError> {
        serde_json::from_str(json).map_err(|error| ConfigError {
            file: file.to_owned(),
            cause: error.to_string(),
        })
    }

    /// The part of the file that this name stands in at the top level, if it is not `services`.
    pub fn other_section(&self, name: &str) -> Option<&'static str> {
        let sections = [
            ("volumes", &self.volumes),
            ("configs", &self.configs),
            ("networks", &self.networks),
            ("secrets", &self.secrets),
        ];
        sections
            .into_iter()
            .find(|(_, entries)| entries.contains_key(name))
            .map(|(section, _)| section)
    }

    /// The service has no network of its own, but that of the machine, or of another service that has it.
    pub fn is_on_host(&self, name: &str) -> bool {
        let mut seen = BTreeSet::new();
        let mut name = name;
        while seen.insert(name) {
            let service = self.services.get(name);
            match service.and_then(|service| service.network_mode.as_deref()) {
                Some("host") => return true,
                Some(mode) => match mode.strip_prefix("service:") {
                    Some(other) => name = other,
                    None => return false,
                },
                None => return false,
            }
        }
        false
    }

    /// The names of the services whose image begins with `prefix`.
    pub fn internal(&self, prefix: &str) -> BTreeSet<&str> {
        self.services
            .iter()
            .filter(|(_, service)| {
                service
                    .image
                    .as_deref()
                    .is_some_and(|image| image.starts_with(prefix))
            })
            .map(|(name, _)| name.as_str())
            .collect()
    }
}

impl Service {
    /// Both can be started with one and the same profile, or without any.
    pub fn runs_beside(&self, other: &Self) -> bool {
        self.profiles.is_empty() || other.profiles.is_empty() || !self.profiles.is_disjoint(&other.profiles)
    }
}

impl Port {
    /// The address on the machine; `None` if it is none that can be read.
    pub fn address(&self) -> Option<IpAddr> {
        match self.host_ip.as_deref() {
            None | Some("") => Some(Ipv4Addr::UNSPECIFIED.into()),
            Some(text) => text.trim_matches(['[', ']']).parse().ok(),
        }
    }

    /// In the short form of a Compose file: `127.0.0.1:8080:80/tcp`.
    pub fn short(&self) -> String {
        let host = self.host_ip.as_deref().filter(|host| !host.is_empty());
        let host = match host {
            Some(host) if host.contains(':') => format!("[{}]", host.trim_matches(['[', ']'])),
            Some(host) => host.to_owned(),
            None => "0.0.0.0".to_owned(),
        };
        let published = self
            .published
            .as_ref()
            .map_or("any".to_owned(), Published::to_string);
        format!("{host}:{published}:{}/{}", self.target, self.protocol)
    }
}

impl Published {
    /// One port.
    pub fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }

    /// All ports of it.
    pub fn ports(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    fn parse(text: &str) -> Option<Self> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some(Self { first, last })
    }
}

impl std::fmt::Display for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl Serialize for Published {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Published {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let text = match &value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("`{text}` is no port and no range of ports")))
    }
}
