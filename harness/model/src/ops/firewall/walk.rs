//! What rules let in, when they are asked one after the other.
//!
//! For each place in a chain it is known which ports somebody from outside may still reach there. A rule that lets in opens
//! all of them that it may match. One that keeps out closes only what it matches for sure, whoever it comes from: whatever
//! is not understood of it is taken for a condition. The same holds for the ways through chains: a jump leads on what it
//! may match, and what it does not match for sure goes on behind it, too.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::set::{ALL, Family, PROTOCOLS, Ports};

/// What a rule is about.
#[derive(Debug, Clone)]
pub(super) struct Match {
    pub(super) families: Vec<Family>,
    /// Of those that are looked at.
    pub(super) protocols: Vec<&'static str>,
    /// The ports; none: all.
    pub(super) ports: Option<Vec<RangeInclusive<u16>>>,
    /// It can match what comes from others than private networks.
    pub(super) public: bool,
    /// It matches all of that, whoever it comes from and whatever else is in it.
    pub(super) sure: bool,
}

/// What happens to what a rule matches.
#[derive(Debug, Clone)]
pub(super) enum Then {
    Open,
    Close,
    /// The chain has ended for it.
    Return,
    /// Through another chain, and back.
    Jump(String),
    /// Through another chain, and not back.
    Goto(String),
}

/// A rule, in the order in which rules are asked.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    /// What it is called: its name, or its line.
    pub(super) name: String,
    pub(super) matches: Match,
    pub(super) then: Then,
}

/// A rule that lets in, and what it opens where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) name: String,
    pub(super) protocols: Vec<&'static str>,
    /// The ports that it names; none: all.
    pub(super) ports: Option<Vec<RangeInclusive<u16>>>,
    /// What can be reached through it by everybody, or by some whom nobody knows.
    pub(super) opened: Ports,
}

impl Match {
    /// Everything, whoever it comes from.
    pub(super) fn everything() -> Self {
        Self {
            families: vec![Family::V4, Family::V6],
            protocols: PROTOCOLS.to_vec(),
            ports: None,
            public: true,
            sure: true,
        }
    }

    fn named(&self) -> Ports {
        let all = [ALL];
        Ports::of(
            &self.families,
            &self.protocols,
            self.ports.as_deref().unwrap_or(&all),
        )
    }

    /// All that it could match.
    fn may(&self) -> Ports {
        if self.public { self.named() } else { Ports::none() }
    }

    /// All that it matches in any case.
    fn must(&self) -> Ports {
        if self.sure && self.public {
            self.named()
        } else {
            Ports::none()
        }
    }
}

/// A way through chains.
struct Walk<'a> {
    chains: &'a BTreeMap<String, Vec<Rule>>,
    /// The chains that it is in.
    within: BTreeSet<String>,
    openings: Vec<Opening>,
    /// Which of them a rule is, by its place: a chain that several jumps lead to is one all the same.
    places: BTreeMap<(String, usize), usize>,
}

/// What the rules of the chain `first` open, and the chains that it leads to; `last` is what is done with the rest.
pub(super) fn openings(
    chains: &BTreeMap<String, Vec<Rule>>,
    first: &str,
    last: Option<&Rule>,
) -> Vec<Opening> {
    let mut walk = Walk {
        chains,
        within: BTreeSet::new(),
        openings: Vec::new(),
        places: BTreeMap::new(),
    };
    let rest = walk.follow(first, Ports::all());
    let mut openings = walk.openings;
    if let Some(last) = last.filter(|last| matches!(last.then, Then::Open)) {
        openings.push(last.opening(rest.and(&last.matches.may())));
    }
    openings
}

impl Walk<'_> {
    /// Of what comes to the chain, that which comes out at its end.
    fn follow(&mut self, name: &str, mut here: Ports) -> Ports {
        if !self.within.insert(name.to_owned()) {
            return here;
        }
        let mut returned = Ports::none();
        for (number, rule) in self.chains.get(name).into_iter().flatten().enumerate() {
            let matches = &rule.matches;
            match &rule.then {
                Then::Open => {
                    let next = self.openings.len();
                    let at = *self.places.entry((name.to_owned(), number)).or_insert(next);
                    if at == next {
                        self.openings.push(rule.opening(Ports::none()));
                    }
                    self.openings[at].opened.add(&here.and(&matches.may()));
                }
                Then::Close if !matches.sure => {}
                Then::Close => here.remove(&matches.must()),
                Then::Return => {
                    returned.add(&here.and(&matches.may()));
                    here.remove(&matches.must());
                }
                Then::Jump(to) => {
                    let back = self.follow(to, here.and(&matches.may()));
                    here.remove(&matches.must());
                    here.add(&back);
                }
                Then::Goto(to) => {
                    returned.add(&self.follow(to, here.and(&matches.may())));
                    here.remove(&matches.must());
                }
            }
        }
        self.within.remove(name);
        here.add(&returned);
        here
    }
}

impl Rule {
    fn opening(&self, opened: Ports) -> Opening {
        Opening {
            name: self.name.clone(),
            protocols: self.matches.protocols.clone(),
            ports: self.matches.ports.clone(),
            opened,
        }
    }
}

/// The protocols that a word of a rule stands for, of those that are looked at; all of them if it stands for any.
pub(super) fn protocols(word: &str) -> Vec<&'static str> {
    match word {
        "all" | "any" | "0" => PROTOCOLS.to_vec(),
        "tcp" | "6" => vec!["tcp"],
        "udp" | "17" => vec!["udp"],
        _ => Vec::new(),
    }
}
