//! `ufw status`.
//!
//! What stands before the action is the destination, and what stands behind it the source. Application profiles are known
//! by a few names; another one is an error that says what to do. Lines without `(v6)` are about IPv4 only.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::set::{Family, PROTOCOLS};
use super::walk::{Match, Opening, Rule, Then, openings, protocols};
use super::{FirewallError, From, range, source};

/// Ports of the profiles that packages bring.
const PROFILES: &[(&str, &[u16])] = &[
    ("OpenSSH", &[22]),
    ("WWW", &[80]),
    ("WWW Secure", &[443]),
    ("WWW Full", &[80, 443]),
    ("Nginx HTTP", &[80]),
    ("Nginx HTTPS", &[443]),
    ("Nginx Full", &[80, 443]),
    ("Apache", &[80]),
    ("Apache Secure", &[443]),
    ("Apache Full", &[80, 443]),
];

/// What a line does, by the word of its action.
fn action(word: &str) -> Option<Then> {
    match word {
        "ALLOW" | "LIMIT" => Some(Then::Open),
        "DENY" | "REJECT" => Some(Then::Close),
        _ => None,
    }
}

/// What the rules in the output open; see [`super::Firewall::parse`].
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Opening>, FirewallError> {
    let mut rules = Vec::new();
    let mut last = None;
    for (line, number) in text.lines().zip(1..) {
        let everything = |name: &str| Rule {
            name: format!("{name} (line {number})"),
            matches: Match::everything(),
            then: Then::Open,
        };
        if line.trim() == "Status: inactive" {
            rules.push(everything("a firewall that is not active"));
        } else if line.starts_with("Default: allow (incoming)") {
            last = Some(everything("the default"));
        }
        let bad = |cause: String| FirewallError::line(file, number, cause);
        rules.extend(rule(line, number).map_err(bad)?);
    }
    let chains = BTreeMap::from([(String::new(), rules)]);
    Ok(openings(&chains, "", last.as_ref()))
}

/// What a line does, if it does anything to what comes in.
fn rule(line: &str, number: usize) -> Result<Option<Rule>, String> {
    let line = line.split_once('#').map_or(line, |(rule, _)| rule);
    let words: Vec<_> = line.split_whitespace().collect();
    let Some(at) = words.iter().position(|word| action(word).is_some()) else {
        return Ok(None);
    };
    let (to, mut from) = (words[..at].join(" "), &words[at + 1..]);
    let (Some(then), false) = (action(words[at]), to.is_empty()) else {
        return Ok(None);
    };
    let mut action = words[at].to_owned();
    if let [way @ ("IN" | "OUT" | "FWD"), rest @ ..] = from {
        if *way != "IN" {
            return Ok(None);
        }
        action.push_str(" IN");
        from = rest;
    }
    if to.ends_with(" on lo") {
        return Ok(None);
    }
    let (protocols, ports, whole) = destination(&to)?;
    let from = from.join(" ");
    let (family, whom, alone) = whom(&from)?;
    let v6 = to.contains("(v6)") || from.contains("(v6)");
    Ok(Some(Rule {
        name: format!("line {number} (`{to} {action} {from}`)"),
        matches: Match {
            families: vec![if v6 { Family::V6 } else { family }],
            protocols,
            ports,
            public: whom != From::Private,
            sure: whole && alone && whom == From::Everybody,
        },
        then,
    }))
}

/// Protocols, ports, and whether it is nothing but them.
type Destination = (Vec<&'static str>, Option<Vec<RangeInclusive<u16>>>, bool);

fn destination(to: &str) -> Result<Destination, String> {
    let to = to.replace("(v6)", "");
    // Numbered lines begin with `[ 1]`.
    let to = to
        .split_once(']')
        .filter(|_| to.starts_with('['))
        .map_or(&*to, |(_, rest)| rest);
    let (to, whole) = to.split_once(" on ").map_or((to, true), |(to, _)| (to, false));
    let to = to.trim();
    if let Some((_, ports)) = PROFILES.iter().find(|(name, _)| *name == to) {
        let ports = ports.iter().map(|port| *port..=*port).collect();
        return Ok((vec!["tcp"], Some(ports), whole));
    }
    // An address may stand in front of the port.
    let last = to.rsplit(' ').next().unwrap_or(to);
    let whole = whole && last == to;
    if source(last).is_some() {
        return Ok((PROTOCOLS.to_vec(), None, false));
    }
    let (ports, protocols) = match last.split_once('/') {
        Some((ports, protocol)) => (ports, protocols(protocol)),
        None => (last, PROTOCOLS.to_vec()),
    };
    if ports == "Anywhere" {
        return Ok((protocols, None, whole));
    }
    let ranges = ports
        .split(',')
        .map(|text| range(text, ':'))
        .collect::<Option<Vec<_>>>();
    let known = "expected a port such as 22/tcp; of an application's profile, `ufw app info` tells the ports";
    ranges
        .map(|ranges| (protocols, Some(ranges), whole))
        .ok_or_else(|| format!("`{to}` is no port; {known}"))
}

/// Whom a line is for, and whether it says nothing else.
fn whom(from: &str) -> Result<(Family, From, bool), String> {
    let mut words = from.split_whitespace();
    let first = words.next().unwrap_or_default();
    let alone = words.all(|word| ["(v6)", "(log)", "(log-all)"].contains(&word));
    if first == "Anywhere" {
        return Ok((Family::V4, From::Everybody, alone));
    }
    // Behind an address may stand what is spoken.
    let address = first.trim_end_matches("/tcp").trim_end_matches("/udp");
    if address == "Anywhere" {
        return Ok((Family::V4, From::Everybody, false));
    }
    let (family, from) = source(address).ok_or_else(|| format!("`{from}` is no address"))?;
    Ok((family, from, alone && address == first))
}
