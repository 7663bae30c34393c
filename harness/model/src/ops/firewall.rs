//! Firewall rules from a file, against the policy for ports.
//!
//! Rule `firewall-policy`: a rule that opens to everybody what the policy closes, and a dangling one, for a port that
//! nobody listens on. Three forms are read: see [`Firewall::parse`]. A rule that lets in opens, whatever else it says
//! (limits, marks, users): the doubt is for a person to decide. A rule that keeps out closes nothing unless every word of it
//! is understood, it is for everybody, and it is about the whole port.

mod gcloud;
mod iptables;
mod set;
mod ufw;
mod walk;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use jiff::civil::Date;

use self::set::{ALL, Family, outside, runs};
use self::walk::Opening;
use super::fail;
use super::policy::PortPolicy;
use super::ports::Open;
use crate::verdict::Finding;

/// The firewall opens nothing that the policy closes.
pub const POLICY: &str = "firewall-policy";

/// What a firewall lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    /// Name of its file.
    pub file: String,
    /// Its rules that let in, in the order in which they are asked.
    openings: Vec<Opening>,
}

/// Whom an address stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// All addresses of its family.
    Everybody,
    /// Addresses that others have.
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
        let openings = if text.trim_start().starts_with(['[', '{']) {
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
            openings,
        })
    }

    /// How many rules it has that let in.
    pub fn openings(&self) -> usize {
        self.openings.len()
    }

    /// Rule `firewall-policy`, on the day `today`. `listening` is what listens; without it nothing is said of dangling
    /// rules.
    pub fn judge(&self, allowed: &PortPolicy, listening: Option<&[Open]>, today: Date) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut say = |what: String| findings.push(fail(POLICY, format!("{}: {what}", self.file)));
        for opening in &self.openings {
            for protocol in opening.protocols.iter().copied() {
                for what in opening.refused(allowed, protocol, today) {
                    say(format!("{} {what}", opening.name));
                }
                let Some(listening) = listening.filter(|_| protocol == "tcp") else {
                    continue;
                };
                for range in opening.ports.iter().flatten() {
                    let heard = |open: &Open| open.protocol == protocol && range.contains(&open.port);
                    if !listening.iter().any(heard) {
                        let ports = shown(range);
                        say(format!(
                            "{} is dangling: nobody listens on {protocol} {ports}",
                            opening.name
                        ));
                    }
                }
            }
        }
        findings
    }
}

impl Opening {
    /// What it opens of a protocol and may not.
    fn refused(&self, allowed: &PortPolicy, protocol: &str, today: Date) -> Vec<String> {
        let opened = self.opened.of_protocol(protocol);
        let refused = |port: &u16| Some((*port, allowed.refuses(&self.open(protocol, *port), today)?));
        let bad: BTreeSet<_> = opened.iter().filter_map(refused).collect();
        if bad.is_empty() {
            return Vec::new();
        }
        // Of a rule without ports it is shorter to say what it does not open.
        if self.ports.is_none() && opened.len() > usize::from(*ALL.end()) / 2 {
            let closed = outside(&runs(opened));
            let closed: Vec<_> = closed.iter().map(shown).collect();
            let but = if closed.is_empty() {
                String::new()
            } else {
                format!(" but {}", closed.join(", "))
            };
            return vec![format!(
                "opens every {protocol} port{but} to everybody; expected public ports only"
            )];
        }
        let said = |(ports, why)| format!("opens {protocol} {ports}, which the policy closes; {why}");
        ranges(bad).into_iter().map(said).collect()
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
fn unless_all(ports: Vec<RangeInclusive<u16>>) -> Option<Vec<RangeInclusive<u16>>> {
    let all = |range: &RangeInclusive<u16>| *range.start() <= *ALL.start() && *range.end() == *ALL.end();
    (!ports.is_empty() && !ports.iter().any(all)).then_some(ports)
}

/// Whom an address with or without a prefix length stands for; `None` if it is no address.
fn source(text: &str) -> Option<(Family, From)> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (family, private, least) = match address {
        IpAddr::V4(address) => {
            let least = match address.octets()[0] {
                10 | 127 => 8,
                172 => 12,
                _ => 16,
            };
            let private = address.is_private() || address.is_loopback() || address.is_link_local();
            (Family::V4, private, least)
        }
        IpAddr::V6(address) => {
            let loopback = address.is_loopback();
            let private = loopback || address.is_unique_local() || address.is_unicast_link_local();
            (Family::V6, private, if loopback { 128 } else { 7 })
        }
    };
    let narrow = prefix.is_none_or(|prefix| prefix >= least);
    let from = match prefix {
        Some(0) => From::Everybody,
        _ if private && narrow => From::Private,
        _ => From::Public,
    };
    Some((family, from))
}
