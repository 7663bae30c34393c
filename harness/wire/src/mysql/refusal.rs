//! Errors that a client is given although the server has not been asked.

use harness_model::event::{Step, Verb};

use super::frame;
use super::handshake::Capabilities;

/// A statement that fails with this error code of the server.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal(pub(super) u16);

/// The victim of a deadlock: the server has rolled back all of its transaction.
const DEADLOCK: u16 = 1213;
const LOCK_WAIT_TIMEOUT: u16 = 1205;

impl Refusal {
    /// The packet to send in the place of the statement. It leaves the server as the error would, and a single packet
    /// answers it.
    pub(super) fn command(self, capabilities: Capabilities) -> Vec<u8> {
        const QUERY: u8 = 0x03;
        const PING: u8 = 0x0e;
        if self.0 != DEADLOCK {
            return frame::packet(0, &[PING]);
        }
        let mut payload = vec![QUERY];
        if capabilities.query_attributes() {
            // No parameters, in one set.
            payload.extend([0, 1]);
        }
        // Whatever `completion_type` says, the victim of a deadlock stays connected and is in no new transaction.
        payload.extend_from_slice(b"ROLLBACK AND NO CHAIN NO RELEASE");
        frame::packet(0, &payload)
    }

    /// What the client gets.
    pub(super) fn packet(self, sequence: u8) -> Vec<u8> {
        let (state, text) = self.words();
        let [low, high] = self.0.to_le_bytes();
        let mut payload = vec![0xff, low, high, b'#'];
        payload.extend_from_slice(state.as_bytes());
        payload.extend_from_slice(text.as_bytes());
        frame::packet(sequence, &payload)
    }

    /// The step that this is.
    pub(super) fn step(self, verb: Verb) -> Step {
        Step::DbErr {
            verb,
            code: self.0,
            text: self.words().1.to_owned(),
        }
    }

    /// SQL state and message, as servers say them.
    fn words(self) -> (&'static str, &'static str) {
        match self.0 {
            DEADLOCK => (
                "40001",
                "Deadlock found when trying to get lock; try restarting transaction",
            ),
            LOCK_WAIT_TIMEOUT => ("HY000", "Lock wait timeout exceeded; try restarting transaction"),
            _ => ("HY000", "The statement was refused"),
        }
    }
}
