//! `gcloud compute firewall-rules list --format=json`.
//!
//! Rules with a lower priority are asked first, and of equal ones those that deny. Those for what goes out, and those that
//! are disabled, are left out. Each network has rules of its own. A rule that allows counts for this machine whatever
//! targets it asks for; one that denies counts only if it asks for none, and has no field that is not known here.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::set::Family;
use super::walk::{Match, Opening, Rule, Then, openings, protocols};
use super::{FirewallError, From, range, source, unless_all};

/// Priority of a rule that names none.
const PRIORITY: u32 = 1000;
/// Fields that restrict nothing.
const NEUTRAL: &[&str] = &[
    "creationTimestamp",
    "description",
    "enableLogging",
    "id",
    "kind",
    "logConfig",
    "selfLink",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    name: String,
    #[serde(default)]
    direction: Option<String>,
    #[serde(default)]
    priority: Option<u32>,
    #[serde(default)]
    source_ranges: Vec<String>,
    #[serde(default)]
    source_tags: Vec<String>,
    #[serde(default)]
    source_service_accounts: Vec<String>,
    #[serde(default)]
    allowed: Vec<Matches>,
    #[serde(default)]
    denied: Vec<Matches>,
    #[serde(default)]
    disabled: bool,
    #[serde(default)]
    network: Option<String>,
    #[serde(flatten)]
    more: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Matches {
    #[serde(rename = "IPProtocol")]
    protocol: String,
    #[serde(default)]
    ports: Vec<String>,
}

/// What the rules in the output open; see [`super::Firewall::parse`].
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Opening>, FirewallError> {
    let mut listed: Vec<Listed> =
        serde_json::from_str(text).map_err(|error| FirewallError::whole(file, error.to_string()))?;
    listed.retain(|rule| !rule.disabled && rule.direction.as_deref().unwrap_or("INGRESS") == "INGRESS");
    listed.sort_by_key(|rule| (rule.priority.unwrap_or(PRIORITY), rule.denied.is_empty()));
    let mut networks = BTreeMap::<String, Vec<Rule>>::new();
    for rule in &listed {
        let sources = rule.sources(file)?;
        let rules = networks
            .entry(rule.network.clone().unwrap_or_default())
            .or_default();
        for (then, all) in [(Then::Close, &rule.denied), (Then::Open, &rule.allowed)] {
            for matches in all {
                rules.push(rule.one(file, then.clone(), matches, &sources)?);
            }
        }
    }
    let each = networks.keys();
    Ok(each
        .flat_map(|network| openings(&networks, network, None))
        .collect())
}

impl Listed {
    /// Whom it is for, by family.
    fn sources(&self, file: &str) -> Result<Vec<(Family, From)>, FirewallError> {
        let mut sources = Vec::new();
        for text in &self.source_ranges {
            let bad = || {
                FirewallError::whole(
                    file,
                    format!("rule {}: `{text}` is no range of addresses", self.name),
                )
            };
            sources.push(source(text).ok_or_else(bad)?);
        }
        let both = |from| [(Family::V4, from), (Family::V6, from)];
        // Machines of the same network, by tag or account; ranges beside them are further sources.
        if !self.source_tags.is_empty() || !self.source_service_accounts.is_empty() {
            sources.extend(both(From::Private));
        }
        // None means all.
        if sources.is_empty() {
            sources.extend(both(From::Everybody));
        }
        Ok(sources)
    }

    fn one(
        &self,
        file: &str,
        then: Then,
        matches: &Matches,
        sources: &[(Family, From)],
    ) -> Result<Rule, FirewallError> {
        let mut ports = Vec::new();
        for text in &matches.ports {
            let bad =
                || FirewallError::whole(file, format!("rule {}: `{text}` is no port or range", self.name));
            ports.push(range(text, '-').ok_or_else(bad)?);
        }
        let opens = matches!(then, Then::Open);
        let counts = |from: &From| *from == From::Everybody || (opens && *from == From::Public);
        let families: Vec<_> = sources
            .iter()
            .filter(|(_, from)| counts(from))
            .map(|(family, _)| *family)
            .collect();
        Ok(Rule {
            name: format!("rule {}", self.name),
            matches: Match {
                public: !families.is_empty(),
                families,
                protocols: protocols(&matches.protocol),
                ports: unless_all(ports),
                sure: self.more.keys().all(|key| NEUTRAL.contains(&key.as_str())),
            },
            then,
        })
    }
}
