//! Firewall rules from a file, against the policy for ports.
//!
//! Rule `firewall-policy`: a rule that opens to everybody what the policy closes, and a dangling one, for a port that
//! nobody listens on. Three forms are read: see [`Firewall::parse`]. What a rule says beyond ports and sources (limits,
//! marks, users) is taken for no restriction: the doubt is for a person to decide.

mod gcloud;
mod iptables;
mod ufw;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use jiff::civil::Date;

use super::fail;
use super::policy::PortPolicy;
use super::ports::Open;
use crate::verdict::Finding;

/// The firewall opens nothing that the policy closes.
pub const POLICY: &str = "firewall-policy";

/// All ports.
const ALL: RangeInclusive<u16> = 1..=65535;

/// The rules of a firewall for what comes in, first match first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Name of its file.
    pub file: String,
    /// The rules, in the order in which they are asked.
    pub rules: Vec<Rule>,
}

/// One rule for what comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// What it is called: its name, or its line.
    pub name: String,
    /// It lets in, or it keeps out.
    pub opens: bool,
    /// What is spoken; absent: anything.
    pub protocol: Option<String>,
    /// The ports; none: all.
    pub ports: Vec<RangeInclusive<u16>>,
    /// It is for everybody, or for some addresses only.
    pub from: From,
}

/// Whom a rule is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Everybody, or addresses that others have.
    Public,
    /// Addresses of private networks only.
    Private,
}

/// A file of rules that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read the firewall rules of {file}: {at}{cause}")]
pub struct FirewallError {
    file: String,
    at: String,
    cause: String,
}

impl FirewallError {
    fn line(file: &str, line: usize, cause: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            at: format!("line {line}: "),
            cause: cause.into(),
        }
    }

    fn whole(file: &str, cause: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            at: String::new(),
            cause: cause.into(),
        }
    }
}

impl Firewall {
    /// Reads the output of `gcloud compute firewall-rules list --format=json`, of `iptables-save` or of `ufw status`,
    /// whichever it is.
    ///
    /// # Errors
    /// It is none of them, or a line of it cannot be read.
    pub fn parse(file: &str, text: &str) -> Result<Self, FirewallError> {
        let begins = |mark: &str| text.lines().any(|line| line.starts_with(mark));
        let rules = if text.trim_start().starts_with(['[', '{']) {
            gcloud::parse(file, text)?
        } else if begins("*filter") {
            iptables::parse(file, text)?
        } else if begins("Status:") {
            ufw::parse(file, text)?
        } else {
            let expected = "it is neither the JSON of gcloud nor the output of iptables-save (with *filter) or ufw status";
            return Err(FirewallError::whole(file, expected));
        };
        Ok(Self {
            file: file.to_owned(),
            rules,
        })
    }

    /// Rule `firewall-policy`, on the day `today`. `listening` is what listens; without it nothing is said of dangling
    /// rules.
    pub fn judge(&self, allowed: &PortPolicy, listening: Option<&[Open]>, today: Date) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut say = |what: String| findings.push(fail(POLICY, format!("{}: {what}", self.file)));
        // What rules before have kept out for everybody.
        let mut closed: Vec<&Rule> = Vec::new();
        for rule in &self.rules {
            if !rule.opens {
                if rule.from == From::Public {
                    closed.push(rule);
                }
                continue;
            }
            for protocol in rule.protocols() {
                let shut = |port: u16| closed.iter().any(|closed| closed.is_about(protocol, port));
                if rule.from == From::Public && rule.ports.is_empty() {
                    if !closed
                        .iter()
                        .any(|closed| closed.ports.is_empty() && closed.speaks(protocol))
                    {
                        say(format!(
                            "{} opens every {protocol} port to everybody; expected public ports only",
                            rule.name
                        ));
                    }
                    continue;
                }
                if rule.from == From::Public {
                    let bad = rule.ports.iter().cloned().flatten().filter(|port| !shut(*port));
                    let bad: BTreeSet<_> = bad
                        .filter_map(|port| Some((port, allowed.refuses(&rule.open(protocol, port), today)?)))
                        .collect();
                    for (ports, why) in ranges(bad) {
                        say(format!(
                            "{} opens {protocol} {ports}, which the policy closes; {why}",
                            rule.name
                        ));
                    }
                }
                let Some(listening) = listening.filter(|_| protocol == "tcp") else {
                    continue;
                };
                for range in &rule.ports {
                    let heard = |open: &Open| open.protocol == protocol && range.contains(&open.port);
                    if !listening.iter().any(heard) {
                        let ports = shown(range);
                        say(format!(
                            "{} is dangling: nobody listens on {protocol} {ports}",
                            rule.name
                        ));
                    }
                }
            }
        }
        findings
    }
}

impl Rule {
    /// What it is about, of what is looked at.
    fn protocols(&self) -> Vec<&str> {
        match self.protocol.as_deref() {
            None => vec!["tcp", "udp"],
            Some(one @ ("tcp" | "udp")) => vec![one],
            Some(_) => Vec::new(),
        }
    }

    fn speaks(&self, protocol: &str) -> bool {
        self.protocol.as_deref().is_none_or(|own| own == protocol)
    }

    fn is_about(&self, protocol: &str, port: u16) -> bool {
        self.speaks(protocol)
            && (self.ports.is_empty() || self.ports.iter().any(|range| range.contains(&port)))
    }

    /// What it would let somebody reach.
    fn open(&self, protocol: &str, port: u16) -> Open {
        Open {
            seen: self.name.clone(),
            service: None,
            address: IpAddr::from([0, 0, 0, 0]),
            port,
            protocol: protocol.to_owned(),
        }
    }
}

/// Neighbours that are refused for the same reason, together.
fn ranges(bad: BTreeSet<(u16, String)>) -> Vec<(String, String)> {
    let mut runs: Vec<(RangeInclusive<u16>, String)> = Vec::new();
    for (port, why) in bad {
        match runs.last_mut() {
            Some((run, same)) if *same == why && run.end() + 1 == port => *run = *run.start()..=port,
            _ => runs.push((port..=port, why)),
        }
    }
    runs.into_iter().map(|(run, why)| (shown(&run), why)).collect()
}

fn shown(range: &RangeInclusive<u16>) -> String {
    if range.start() == range.end() {
        range.start().to_string()
    } else {
        format!("{}-{}", range.start(), range.end())
    }
}

/// A port or a range, with `between` in the middle.
fn range(text: &str, between: char) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once(between).unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some(first..=last)
}

/// A range that is all ports is no restriction.
fn unless_all(ports: Vec<RangeInclusive<u16>>) -> Vec<RangeInclusive<u16>> {
    let all = |range: &RangeInclusive<u16>| *range.start() <= *ALL.start() && *range.end() == *ALL.end();
    if ports.iter().any(all) { Vec::new() } else { ports }
}

/// Whom an address with or without a prefix length stands for; `None` if it is no address.
fn source(text: &str) -> Option<From> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (private, least) = match address {
        IpAddr::V4(address) => {
            let least = match address.octets()[0] {
                10 | 127 => 8,
                172 => 12,
                _ => 16,
            };
            (
                address.is_private() || address.is_loopback() || address.is_link_local(),
                least,
            )
        }
        IpAddr::V6(address) => {
            let loopback = address.is_loopback();
            let private = loopback || address.is_unique_local() || address.is_unicast_link_local();
            (private, if loopback { 128 } else { 7 })
        }
    };
    let narrow = prefix.is_none_or(|prefix| prefix >= least);
    Some(if private && narrow {
        From::Private
    } else {
        From::Public
    })
}

/// The widest of several sources; none means everybody.
fn widest(sources: impl IntoIterator<Item = From>) -> From {
    let mut private = false;
    for source in sources {
        match source {
            From::Public => return From::Public,
            From::Private => private = true,
        }
    }
    if private { From::Private } else { From::Public }
}
