//! The phases of a connection: greeting, login, commands.

use harness_model::event::{Step, Verb};

use super::answer::{self, Answers};
use super::frame::Packet;
use super::handshake::{self, Capabilities};
use super::refusal::Refusal;
use super::statement::Statements;
use super::{KeysInHand, command, undecodable};
use crate::codec::Undecodable;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The server speaks first.
    #[default]
    Greeting,
    /// The client answers.
    Response,
    /// The two exchange proofs until the server says OK or ERR.
    Login,
    Commands,
    /// Whatever comes now means nothing.
    Over,
}

/// What is known of a connection.
#[derive(Debug, Default)]
pub(super) struct Session {
    phase: Phase,
    /// Those of the server until the client has answered, then those of both.
    capabilities: Capabilities,
    schema: String,
    answers: Answers,
    statements: Statements,
}

impl Session {
    /// Takes what the client sends.
    pub(super) fn client_sends(
        &mut self,
        packet: &Packet<'_>,
        keys: &dyn KeysInHand,
    ) -> Result<Option<Step>, Undecodable> {
        match self.phase {
            Phase::Greeting => return Err(undecodable("a client that speaks before the greeting")),
            Phase::Response => {
                (self.capabilities, self.schema) = handshake::respond(packet.payload, self.capabilities)?;
                self.phase = Phase::Login;
                return Ok(None);
            }
            Phase::Over => return Ok(None),
            // Proofs have later sequence ids; a client in a hurry may send its first command ahead.
            Phase::Login if packet.sequence != 0 => return Ok(None),
            Phase::Login | Phase::Commands => {}
        }
        if self.answers.file_wanted() {
            if packet.length == 0 {
                self.answers.file_sent();
            }
            return Ok(None);
        }
        if packet.sequence != 0 {
            if self.answers.login_wanted() {
                return Ok(None);
            }
            return Err(undecodable(format!(
                "a command with sequence id {}",
                packet.sequence
            )));
        }
        let step = command::take(
            packet.payload,
            self.capabilities,
            &mut self.answers,
            &mut self.statements,
            keys,
        )?;
        if step == Some(Step::DbQuit) {
            self.phase = Phase::Over;
        }
        Ok(step)
    }

    /// The number of the last command that is answered.
    pub(super) fn newest_command(&self) -> u64 {
        self.answers.newest()
    }

    /// Has the answer to a statement rewritten, and gives what is to be sent in the statement's place.
    pub(super) fn refuse(&mut self, command: u64, code: u16) -> Option<Vec<u8>> {
        let refusal = Refusal(code);
        self.answers.refuse(command, refusal)?;
        Some(refusal.command(self.capabilities))
    }

    /// Takes what the server sends; rewrites the greeting, and the answer to what was refused.
    pub(super) fn server_sends(&mut self, packet: &mut Packet<'_>) -> Result<Option<Step>, Undecodable> {
        const OK: u8 = 0x00;
        const ERR: u8 = 0xff;
        let step = match (self.phase, packet.payload.first()) {
            (Phase::Greeting | Phase::Response | Phase::Login, Some(&ERR)) => {
                self.phase = Phase::Over;
                Some(answer::error(packet.payload, Verb::Other)?)
            }
            (Phase::Greeting, _) => {
                self.capabilities = handshake::greet(packet.payload)?;
                self.phase = Phase::Response;
                None
            }
            (Phase::Response, _) => return Err(undecodable("a server that speaks twice before the client")),
            (Phase::Login, Some(&OK)) => {
                self.phase = Phase::Commands;
                Some(Step::DbOpened {
                    schema: std::mem::take(&mut self.schema),
                })
            }
            (Phase::Login | Phase::Over, _) => None,
            (Phase::Commands, _) => self
                .answers
                .take(packet, self.capabilities, &mut self.statements)?,
        };
        Ok(step)
    }
}
