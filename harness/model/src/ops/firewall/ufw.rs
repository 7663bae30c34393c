//! `ufw status`.
//!
//! Columns are set apart by two spaces or more. Application profiles are known by a few names; another one is an error
//! that says what to do.

use super::{FirewallError, From, Rule, range, source};

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

/// The rules in the output; see [`super::Firewall::parse`].
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Rule>, FirewallError> {
    let mut rules = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        if line.trim() == "Status: inactive" {
            rules.push(Rule {
                name: format!("a firewall that is not active (line {number})"),
                opens: true,
                protocol: None,
                ports: Vec::new(),
                from: From::Public,
            });
        }
        let columns: Vec<_> = line
            .split("  ")
            .map(str::trim)
            .filter(|column| !column.is_empty())
            .collect();
        let [to, action, from, ..] = columns[..] else {
            continue;
        };
        let opens = match action.split_whitespace().next() {
            Some("ALLOW" | "LIMIT") => true,
            Some("DENY" | "REJECT") => false,
            _ => continue,
        };
        if action.ends_with("OUT") || action.ends_with("FWD") || to.ends_with(" on lo") {
            continue;
        }
        let bad = |cause: String| FirewallError::line(file, number, cause);
        let (protocol, ports) = destination(to).map_err(bad)?;
        rules.push(Rule {
            name: format!("line {number} (`{to} {action} {from}`)"),
            opens,
            protocol,
            ports,
            from: whom(from).map_err(bad)?,
        });
    }
    Ok(rules)
}

type Destination = (Option<String>, Vec<std::ops::RangeInclusive<u16>>);

fn destination(to: &str) -> Result<Destination, String> {
    let to = to.trim_end_matches("(v6)").trim();
    let to = to.split_once(" on ").map_or(to, |(to, _)| to);
    if let Some((_, ports)) = PROFILES.iter().find(|(name, _)| *name == to) {
        return Ok((
            Some("tcp".to_owned()),
            ports.iter().map(|port| *port..=*port).collect(),
        ));
    }
    // An address may stand in front of the port.
    let last = to.rsplit(' ').next().unwrap_or(to);
    if last == "Anywhere" || source(last).is_some() {
        return Ok((None, Vec::new()));
    }
    let (ports, protocol) = match last.split_once('/') {
        Some((ports, protocol)) => (ports, Some(protocol.to_owned())),
        None => (last, None),
    };
    let ranges = ports
        .split(',')
        .map(|text| range(text, ':'))
        .collect::<Option<Vec<_>>>();
    let known = "expected a port such as 22/tcp; of an application's profile, `ufw app info` tells the ports";
    ranges
        .map(|ranges| (protocol, ranges))
        .ok_or_else(|| format!("`{to}` is no port; {known}"))
}

fn whom(from: &str) -> Result<From, String> {
    let from = from.split_once('#').map_or(from, |(from, _)| from);
    let from = from.trim().trim_end_matches("(v6)").trim();
    let first = from.split_whitespace().next().unwrap_or_default();
    if first == "Anywhere" {
        return Ok(From::Public);
    }
    source(first).ok_or_else(|| format!("`{from}` is no address"))
}
