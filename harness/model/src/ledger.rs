//! The ordered record of a trial: one JSON object a line, in the order in which things happened.
//!
//! Events are numbered from 1 without gaps and their times never go back, so a reader can tell a whole ledger from a
//! damaged one. A trial that crashes leaves a prefix: [`Reader`] gives every whole line of it and says at which line
//! it ends early.

mod line;

use std::io::{self, BufRead};

use crate::event::Event;

/// Why a ledger cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The underlying reader failed.
    #[error("line {line}: cannot read the ledger: {source}")]
    Io {
        /// Line, from 1.
        line: u64,
        /// Cause.
        source: io::Error,
    },
    /// A line that is no event.
    #[error("line {line}: not an event: {why}")]
    Corrupt {
        /// Line, from 1.
        line: u64,
        /// What the parser says.
        why: String,
    },
    /// The last line has no end: the writer was interrupted.
    #[error("line {line}: cut off after {bytes} bytes; the trial ended before the line was written")]
    Truncated {
        /// Line, from 1.
        line: u64,
        /// Bytes present of the line.
        bytes: usize,
    },
    /// An event is missing or out of order.
    #[error("line {line}: event {found} where event {expected} should be")]
    Gap {
        /// Line, from 1.
        line: u64,
        /// The number that should stand here.
        expected: u64,
        /// The number that does.
        found: u64,
    },
    /// Time went backwards.
    #[error("line {line}: event {n} is earlier than the one before it")]
    BackInTime {
        /// Line, from 1.
        line: u64,
        /// The event.
        n: u64,
    },
}

/// Appends `event` as one line.
///
/// # Panics
/// Never: an [`Event`] holds only values that JSON can express.
pub fn write_line(event: &Event, out: &mut Vec<u8>) {
    line::write(event, out);
}

/// Reads a ledger line by line, in constant memory.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    line: Vec<u8>,
    read: u64,
    last_at: u64,
    failed: bool,
}

impl<R: BufRead> Reader<R> {
    /// A reader at the beginning of a ledger.
    pub fn new(input: R) -> Self {
        Self {
            input,
            line: Vec::new(),
            read: 0,
            last_at: 0,
            failed: false,
        }
    }

    fn next_event(&mut self) -> Result<Option<Event>, LedgerError> {
        self.line.clear();
        let line = self.read + 1;
        let bytes = self
            .input
            .read_until(b'\n', &mut self.line)
            .map_err(|source| LedgerError::Io { line, source })?;
        if bytes == 0 {
            return Ok(None);
        }
        if self.line.pop() != Some(b'\n') {
            return Err(LedgerError::Truncated { line, bytes });
        }
        let event: Event = serde_json::from_slice(&self.line).map_err(|error| LedgerError::Corrupt {
            line,
            why: error.to_string(),
        })?;
        if event.n != line {
            return Err(LedgerError::Gap {
                line,
                expected: line,
                found: event.n,
            });
        }
        if event.at < self.last_at {
            return Err(LedgerError::BackInTime { line, n: event.n });
        }
        self.read = line;
        self.last_at = event.at;
        Ok(Some(event))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Event, LedgerError>;

    /// The next event; after an error, nothing.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.next_event();
        self.failed = next.is_err();
        next.transpose()
    }
}

/// A whole ledger in memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledger {
    events: Vec<Event>,
}

impl Ledger {
    /// Reads a ledger to its end.
    ///
    /// # Errors
    /// The first thing that is wrong with it; nothing of a damaged ledger is returned.
    pub fn read(input: impl BufRead) -> Result<Self, LedgerError> {
        Reader::new(input)
            .collect::<Result<Vec<_>, _>>()
            .map(|events| Self { events })
    }

    /// A ledger of the given events, which must be numbered from 1.
    pub fn from_events(events: Vec<Event>) -> Self {
        debug_assert!(
            events.iter().zip(1..).all(|(event, n)| event.n == n),
            "events are numbered from 1"
        );
        Self { events }
    }

    /// All events, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Event number `n`.
    pub fn get(&self, n: u64) -> Option<&Event> {
        usize::try_from(n)
            .ok()?
            .checked_sub(1)
            .and_then(|index| self.events.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::{Ledger, LedgerError, write_line};
    use crate::event::{Backend, Event, Message, Side, Step};
    use proptest::prelude::*;

    fn event(n: u64, at: u64, step: Step) -> Event {
        Event {
            n,
            at,
            svc: Some("analyzer".into()),
            conn: Some(1),
            chan: None,
            step,
        }
    }

    fn bytes(events: &[Event]) -> Vec<u8> {
        let mut out = Vec::new();
        for event in events {
            write_line(event, &mut out);
        }
        out
    }

    fn sample() -> Vec<Event> {
        vec![
            event(1, 5, Step::Connect { to: Backend::Broker }),
            event(2, 5, Step::Heartbeat { by: Side::Server }),
            event(3, 9, Step::ChannelOpened),
        ]
    }

    #[test]
    fn what_is_written_is_read_back() {
        let events = sample();
        assert_eq!(Ledger::read(&*bytes(&events)).unwrap().events(), events);
    }

    #[test]
    fn damage_is_refused_with_its_line() {
        let whole = bytes(&sample());
        let cut = Ledger::read(&whole[..whole.len() - 4]).unwrap_err();
        assert!(matches!(cut, LedgerError::Truncated { line: 3, .. }), "{cut}");

        let gap = bytes(&[sample()[0].clone(), sample()[2].clone()]);
        assert_eq!(
            Ledger::read(&*gap).unwrap_err().to_string(),
            "line 2: event 3 where event 2 should be"
        );

        let mut garbled = whole.clone();
        garbled[1] = b'?';
        assert!(matches!(
            Ledger::read(&*garbled),
            Err(LedgerError::Corrupt { line: 1, .. })
        ));

        let mut back = sample();
        back[2].at = 1;
        assert!(matches!(
            Ledger::read(&*bytes(&back)),
            Err(LedgerError::BackInTime { line: 3, n: 3 })
        ));
    }

    proptest! {
        #[test]
        fn any_prefix_gives_its_whole_lines_and_never_panics(cut in 0_usize..400) {
            let whole = bytes(&sample());
            let prefix = &whole[..cut.min(whole.len())];
            let lines = prefix.split(|&byte| byte == b'\n').count() - 1;
            let read: Vec<_> = super::Reader::new(prefix).collect();
            prop_assert_eq!(read.iter().filter(|event| event.is_ok()).count(), lines);
        }

        #[test]
        fn any_text_survives(body in ".*", key in ".*", retry in any::<i64>()) {
            let message = Message {
                exchange: "e".into(), routing_key: body.clone(), key: Some(key.into()), size: 1, hash: "00".into(),
                persistent: true, retry: Some(retry), death: None, body: Some(body),
            };
            let events = vec![event(1, 0, Step::Publish { tag: 1, mandatory: true, message })];
            prop_assert_eq!(Ledger::read(&*bytes(&events)).unwrap().events().to_vec(), events);
        }
    }
}
