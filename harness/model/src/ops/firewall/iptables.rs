//! `iptables-save`: the chain `INPUT` of the table `filter`, and the chains that it jumps to.
//!
//! Rules for the loopback interface and for connections that are there already open nothing. A jump is followed where it
//! stands, as if it had no conditions of its own. Ports that the engine publishes do not pass `INPUT`; they are seen in
//! the configuration and on the engine.

use std::collections::{BTreeMap, BTreeSet};

use super::{FirewallError, From, Rule, range, source, unless_all};

/// What a rule does with what it matches.
#[derive(Clone)]
enum Then {
    Decide(Option<Rule>),
    Jump(String),
}

/// The rules in the output; see [`super::Firewall::parse`].
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Rule>, FirewallError> {
    let mut chains: BTreeMap<String, Vec<Then>> = BTreeMap::new();
    let mut input_accepts = None;
    let mut table = "";
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('*') {
            table = name;
        }
        if table != "filter" {
            continue;
        }
        if let Some(rest) = line.strip_prefix(":INPUT ") {
            input_accepts = Some((rest.starts_with("ACCEPT"), number));
        } else if line.starts_with("-A ") || line.starts_with('[') {
            let bad = |cause: String| FirewallError::line(file, number, cause);
            let (chain, then) = rule(line, number).map_err(bad)?;
            chains.entry(chain).or_default().push(then);
        }
    }
    let mut rules = Vec::new();
    follow("INPUT", &chains, &mut BTreeSet::new(), &mut rules);
    if let Some((true, number)) = input_accepts {
        rules.push(Rule {
            name: format!("the default of INPUT (line {number})"),
            opens: true,
            protocol: None,
            ports: Vec::new(),
            from: From::Public,
        });
    }
    Ok(rules)
}

/// The rules of a chain, with those of the chains that it jumps to in their places.
fn follow(
    name: &str,
    chains: &BTreeMap<String, Vec<Then>>,
    above: &mut BTreeSet<String>,
    rules: &mut Vec<Rule>,
) {
    if !above.insert(name.to_owned()) {
        return;
    }
    for then in chains.get(name).into_iter().flatten() {
        match then {
            Then::Decide(rule) => rules.extend(rule.clone()),
            Then::Jump(to) => follow(to, chains, above, rules),
        }
    }
    above.remove(name);
}

/// One line: the chain that it belongs to, and what it does.
fn rule(line: &str, number: usize) -> Result<(String, Then), String> {
    // Counters may stand in front.
    let line = line
        .split_once("] ")
        .filter(|_| line.starts_with('['))
        .map_or(line, |(_, rest)| rest);
    let mut words = line.split_whitespace().peekable();
    let (mut chain, mut target, mut protocol) = (String::new(), String::new(), None);
    let (mut ports, mut from) = (Vec::new(), From::Public);
    let (mut local, mut old, mut negated, mut narrowed) = (false, false, false, false);
    while let Some(word) = words.next() {
        let not = std::mem::take(&mut negated);
        let mut value = || words.next().ok_or_else(|| format!("`{word}` has no value"));
        match word {
            "!" => negated = true,
            "-A" => value()?.clone_into(&mut chain),
            "-j" | "-g" => value()?.clone_into(&mut target),
            "-p" => protocol = Some(value()?.to_owned()),
            "-s" => {
                let text = value()?;
                let found = source(text).ok_or_else(|| format!("`{text}` is no address"))?;
                from = if not { From::Public } else { found };
            }
            "-i" => local = value()? == "lo" && !not,
            "--ctstate" | "--state" => old = !value()?.split(',').any(|state| state == "NEW"),
            "--dport" | "--dports" => {
                for text in value()?.split(',') {
                    let found = range(text, ':').ok_or_else(|| format!("`{text}` is no port or range"))?;
                    if not {
                        ports.extend(around(&found));
                    } else {
                        ports.push(found);
                    }
                }
            }
            // What is dropped only above a rate, or only for some, keeps nobody out for sure.
            "--limit" | "--match-set" | "--hashlimit-name" | "--rcheck" | "--update" | "--uid-owner"
            | "--sport" => {
                narrowed = true;
            }
            _ => {}
        }
    }
    if chain.is_empty() {
        return Err("expected `-A CHAIN`".to_owned());
    }
    let opens = match target.as_str() {
        "ACCEPT" => true,
        "DROP" | "REJECT" => false,
        "RETURN" | "LOG" | "" => return Ok((chain, Then::Decide(None))),
        _ => return Ok((chain, Then::Jump(target))),
    };
    let decides = !local && !old && (opens || !narrowed);
    let rule = Rule {
        name: format!("line {number} (`{line}`)"),
        opens,
        protocol: protocol.filter(|protocol| protocol != "all"),
        ports: unless_all(ports),
        from,
    };
    Ok((chain, Then::Decide(decides.then_some(rule))))
}

/// The ports below and above a range.
fn around(range: &std::ops::RangeInclusive<u16>) -> Vec<std::ops::RangeInclusive<u16>> {
    let below = range.start().checked_sub(1).map(|last| 1..=last);
    let above = range.end().checked_add(1).map(|first| first..=65535);
    below
        .into_iter()
        .chain(above)
        .filter(|range| !range.is_empty())
        .collect()
}
