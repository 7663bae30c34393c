//! `gcloud compute firewall-rules list --format=json`.
//!
//! Rules with a lower priority are asked first, and of equal ones those that deny. Those for what goes out, and those that
//! are disabled, are left out. Targets are not looked at: a rule counts for this machine whatever tags it asks for.

use serde::Deserialize;

use super::{FirewallError, From, Rule, range, source, unless_all, widest};

/// Priority of a rule that names none.
const PRIORITY: u32 = 1000;

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
}

#[derive(Deserialize)]
struct Matches {
    #[serde(rename = "IPProtocol")]
    protocol: String,
    #[serde(default)]
    ports: Vec<String>,
}

/// The rules in the output; see [`super::Firewall::parse`].
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Rule>, FirewallError> {
    let mut listed: Vec<Listed> =
        serde_json::from_str(text).map_err(|error| FirewallError::whole(file, error.to_string()))?;
    listed.retain(|rule| !rule.disabled && rule.direction.as_deref().unwrap_or("INGRESS") == "INGRESS");
    listed.sort_by_key(|rule| (rule.priority.unwrap_or(PRIORITY), rule.denied.is_empty()));
    let mut rules = Vec::new();
    for rule in &listed {
        let from = rule.from(file)?;
        for (opens, all) in [(false, &rule.denied), (true, &rule.allowed)] {
            for matches in all {
                rules.push(rule.one(file, opens, matches, from)?);
            }
        }
    }
    Ok(rules)
}

impl Listed {
    fn from(&self, file: &str) -> Result<From, FirewallError> {
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
        // Machines of the same network, by tag or account; ranges beside them are further sources.
        if !self.source_tags.is_empty() || !self.source_service_accounts.is_empty() {
            sources.push(From::Private);
        }
        Ok(widest(sources))
    }

    fn one(&self, file: &str, opens: bool, matches: &Matches, from: From) -> Result<Rule, FirewallError> {
        let mut ports = Vec::new();
        for text in &matches.ports {
            let bad =
                || FirewallError::whole(file, format!("rule {}: `{text}` is no port or range", self.name));
            ports.push(range(text, '-').ok_or_else(bad)?);
        }
        Ok(Rule {
            name: format!("rule {}", self.name),
            opens,
            protocol: (matches.protocol != "all").then(|| number(&matches.protocol).to_owned()),
            ports: unless_all(ports),
            from,
        })
    }
}

/// The name of a protocol that may be given as its number.
fn number(protocol: &str) -> &str {
    match protocol {
        "6" => "tcp",
        "17" => "udp",
        other => other,
    }
}
