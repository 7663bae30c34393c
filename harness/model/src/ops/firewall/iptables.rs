//! `iptables-save`: the chain `INPUT` of the table `filter`, and the chains that it leads to.
//!
//! Rules for the loopback interface and for connections that are there already open nothing. A rule that keeps out, a jump
//! and a return are certain only if every word of them is understood. Ports that the engine publishes do not pass
//! `INPUT`; they are seen in the configuration and on the engine.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::set::{PROTOCOLS, outside};
use super::walk::{Match, Opening, Rule, Then, openings, protocols};
use super::{FirewallError, From, range, source, unless_all};

/// Modules that match nothing by themselves.
const PLAIN: &[&str] = &["tcp", "udp", "multiport", "comment", "conntrack", "state"];
/// States in which a connection is not new.
const OLD: &[&str] = &["RELATED", "ESTABLISHED", "INVALID"];

/// One table `filter`. A file has several if those of both families were written into it.
#[derive(Default)]
struct Table {
    chains: BTreeMap<String, Vec<Rule>>,
    /// What is done with what no rule of `INPUT` has decided.
    last: Option<Rule>,
}

/// What the rules in the output open; see [`super::Firewall::parse`].
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<Opening>, FirewallError> {
    let mut tables: Vec<Table> = Vec::new();
    let mut within = false;
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('*') {
            within = name == "filter";
            if within {
                tables.push(Table::default());
            }
        }
        let Some(table) = tables.last_mut().filter(|_| within) else {
            continue;
        };
        if let Some(rest) = line.strip_prefix(":INPUT ") {
            table.last = rest.starts_with("ACCEPT").then(|| Rule {
                name: format!("the default of INPUT (line {number})"),
                matches: Match::everything(),
                then: Then::Open,
            });
        } else if line.starts_with("-A ") || line.starts_with('[') {
            let bad = |cause: String| FirewallError::line(file, number, cause);
            let (chain, rule) = rule(line, number).map_err(bad)?;
            table.chains.entry(chain).or_default().extend(rule);
        }
    }
    let each = tables.iter();
    Ok(each
        .flat_map(|table| openings(&table.chains, "INPUT", table.last.as_ref()))
        .collect())
}

/// What the words of a line say of what it matches.
struct Read {
    protocols: Vec<&'static str>,
    ports: Vec<RangeInclusive<u16>>,
    /// It is about ports, also if there is none left.
    ported: bool,
    public: bool,
    sure: bool,
}

/// One line: the chain that it belongs to, and what it does, if it does anything.
fn rule(line: &str, number: usize) -> Result<(String, Option<Rule>), String> {
    // Counters may stand in front.
    let line = line
        .split_once("] ")
        .filter(|_| line.starts_with('['))
        .map_or(line, |(_, rest)| rest);
    let all = words(line);
    let mut words = all.iter().map(String::as_str);
    let (mut chain, mut target, mut back) = (String::new(), String::new(), true);
    let mut read = Read {
        protocols: PROTOCOLS.to_vec(),
        ports: Vec::new(),
        ported: false,
        public: true,
        sure: true,
    };
    let mut negated = false;
    while let Some(word) = words.next() {
        let not = std::mem::take(&mut negated);
        let mut value = || words.next().ok_or_else(|| format!("`{word}` has no value"));
        match word {
            "!" => negated = true,
            "-A" => value()?.clone_into(&mut chain),
            "-j" => value()?.clone_into(&mut target),
            "-g" => {
                value()?.clone_into(&mut target);
                back = false;
            }
            "--comment" | "--reject-with" => {
                value()?;
            }
            "-m" if !not => {
                let module = value()?;
                read.sure &= PLAIN.contains(&module);
            }
            _ => {
                if !read.take(word, not, &mut value)? {
                    read.sure = false;
                }
            }
        }
    }
    if chain.is_empty() {
        return Err("expected `-A CHAIN`".to_owned());
    }
    let then = match target.as_str() {
        // What is given to a program is let in if the program says so.
        "ACCEPT" | "QUEUE" | "NFQUEUE" => Then::Open,
        "DROP" | "REJECT" => Then::Close,
        "RETURN" => Then::Return,
        "LOG" | "" => return Ok((chain, None)),
        _ if back => Then::Jump(target),
        _ => Then::Goto(target),
    };
    let matches = Match {
        public: read.public && !(read.ported && read.ports.is_empty()),
        protocols: read.protocols,
        ports: unless_all(read.ports),
        sure: read.sure,
        ..Match::everything()
    };
    let rule = Rule {
        name: format!("line {number} (`{line}`)"),
        matches,
        then,
    };
    Ok((chain, Some(rule)))
}

impl Read {
    /// Takes a word that restricts what is matched, with its value; says whether it is understood.
    fn take<'a>(
        &mut self,
        word: &str,
        not: bool,
        value: &mut impl FnMut() -> Result<&'a str, String>,
    ) -> Result<bool, String> {
        match word {
            "-p" => {
                let named = protocols(value()?);
                if not {
                    self.protocols.retain(|protocol| !named.contains(protocol));
                    self.sure = false;
                } else {
                    self.protocols = named;
                }
            }
            "-s" => {
                let text = value()?;
                let (_, from) = source(text).ok_or_else(|| format!("`{text}` is no address"))?;
                self.public &= not || from != From::Private;
                self.sure &= !not && from == From::Everybody;
            }
            // All that comes from outside comes through another one.
            "-i" => {
                let local = value()? == "lo";
                self.public &= !local || not;
                self.sure &= local && not;
            }
            "--ctstate" | "--state" => {
                let states: Vec<_> = value()?.split(',').collect();
                let new = states.contains(&"NEW");
                let other = states.iter().any(|state| *state != "NEW" && !OLD.contains(state));
                self.public &= if not { !new } else { new || other };
                self.sure &= new != not;
            }
            "--dport" | "--dports" => {
                let mut named = Vec::new();
                for text in value()?.split(',') {
                    named.push(range(text, ':').ok_or_else(|| format!("`{text}` is no port or range"))?);
                }
                self.ports = if not { outside(&named) } else { named };
                self.ported = true;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The words of a line. Those with spaces in them stand in quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let (mut quoted, mut chars) = (false, line.chars());
    while let Some(c) = chars.next() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if quoted => word.get_or_insert_default().extend(chars.next()),
            c if c.is_whitespace() && !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
