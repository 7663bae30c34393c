//! Sets of ports, apart for both families of addresses and for TCP and UDP.

use std::ops::RangeInclusive;

/// What is told apart.
pub(super) const PROTOCOLS: [&str; 2] = ["tcp", "udp"];
/// All ports.
pub(super) const ALL: RangeInclusive<u16> = 1..=65535;

const WORD: usize = u64::BITS as usize;
const WORDS: usize = 65536 / WORD;

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    V4,
    V6,
}

/// A set of ports: one bit each, for every family and protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ports([Vec<u64>; 4]);

impl Ports {
    pub(super) fn none() -> Self {
        Self(std::array::from_fn(|_| vec![0; WORDS]))
    }

    pub(super) fn all() -> Self {
        Self::of(&[Family::V4, Family::V6], &PROTOCOLS, &[ALL])
    }

    /// These ports of these protocols, over these families.
    pub(super) fn of(families: &[Family], protocols: &[&str], ranges: &[RangeInclusive<u16>]) -> Self {
        let mut set = Self::none();
        for family in families {
            for (number, _) in PROTOCOLS
                .iter()
                .enumerate()
                .filter(|(_, known)| protocols.contains(known))
            {
                let words = &mut set.0[*family as usize * PROTOCOLS.len() + number];
                for range in ranges {
                    fill(words, range);
                }
            }
        }
        set
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.with(other, |own, other| own | other);
    }

    pub(super) fn remove(&mut self, other: &Self) {
        self.with(other, |own, other| own & !other);
    }

    /// What is in both.
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = self.clone();
        both.with(other, |own, other| own & other);
        both
    }

    fn with(&mut self, other: &Self, change: impl Fn(u64, u64) -> u64) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            for (own, other) in own.iter_mut().zip(other) {
                *own = change(*own, *other);
            }
        }
    }

    /// The ports of a protocol, over either family.
    pub(super) fn of_protocol(&self, protocol: &str) -> Vec<u16> {
        let Some(number) = PROTOCOLS.iter().position(|known| *known == protocol) else {
            return Vec::new();
        };
        let (v4, v6) = (&self.0[number], &self.0[PROTOCOLS.len() + number]);
        let has = |port: &u16| {
            let at = usize::from(*port);
            ((v4[at / WORD] | v6[at / WORD]) >> (at % WORD)) & 1 == 1
        };
        ALL.filter(has).collect()
    }
}

fn fill(words: &mut [u64], range: &RangeInclusive<u16>) {
    let (first, last) = (usize::from(*range.start()), usize::from(*range.end()));
    for (number, word) in words.iter_mut().enumerate() {
        let begin = number * WORD;
        if last < begin || first >= begin + WORD {
            continue;
        }
        let (low, high) = (first.max(begin) - begin, last.min(begin + WORD - 1) - begin);
        *word |= (u64::MAX << low) & (u64::MAX >> (WORD - 1 - high));
    }
}

/// The ports outside of all these ranges, as ranges.
pub(super) fn outside(ranges: &[RangeInclusive<u16>]) -> Vec<RangeInclusive<u16>> {
    let mut words = vec![0; WORDS];
    for range in ranges {
        fill(&mut words, range);
    }
    let outside =
        ALL.filter(|port| (words[usize::from(*port) / WORD] >> (usize::from(*port) % WORD)) & 1 == 0);
    runs(outside)
}

/// Neighbours together. The ports have to come in their order.
pub(super) fn runs(ports: impl IntoIterator<Item = u16>) -> Vec<RangeInclusive<u16>> {
    let mut runs: Vec<RangeInclusive<u16>> = Vec::new();
    for port in ports {
        match runs.last_mut() {
            Some(run) if run.end() + 1 == port => *run = *run.start()..=port,
            _ => runs.push(port..=port),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::{ALL, Family, Ports, outside};

    #[test]
    fn a_set_is_what_was_put_into_it() {
        let some = [1..=1, 63..=65, 128..=191, 65535..=65535];
        let mut set = Ports::of(&[Family::V4], &["tcp"], &some);
        let listed: Vec<u16> = some.iter().cloned().flatten().collect();
        assert_eq!(set.of_protocol("tcp"), listed);
        assert!(set.of_protocol("udp").is_empty());
        assert!(set.of_protocol("icmp").is_empty());
        set.remove(&Ports::of(&[Family::V6], &["tcp"], &[ALL]));
        assert_eq!(set.of_protocol("tcp"), listed);
        set.remove(&Ports::of(&[Family::V4], &["tcp"], &[64..=65534]));
        assert_eq!(set.of_protocol("tcp"), [1, 63, 65535]);
        assert_eq!(Ports::all().and(&set), set);
        assert_eq!(Ports::all().of_protocol("udp").len(), 65535);
        assert_eq!(outside(&[80..=80, 443..=443]), [1..=79, 81..=442, 444..=65535]);
        assert!(outside(&[0..=65535]).is_empty());
    }
}
