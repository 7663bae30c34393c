//! Exit codes of the command line, and the failures that are expected before a trial starts.
//!
//! The libtest front end has codes of its own (0 and 101), because its callers demand them.

use std::process::ExitCode;

use harness_model::verdict::Kind;

/// How an invocation of the command line ends. The discriminants are the exit codes; they are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Every trial passed, or the command did what it was asked for.
    Passed = 0,
    /// The harness itself is wrong.
    Bug = 1,
    /// The filters select no scenario.
    NothingSelected = 4,
    /// Arguments, configuration or a file named by them cannot be used.
    Refused = 96,
    /// The engine cannot be reached, or an image cannot be had.
    NoEngine = 97,
    /// At least one trial failed or hung.
    Failed = 100,
    /// No trial failed, but at least one is infra or invalid: nothing is known about what it should have shown.
    Unfit = 102,
    /// Ctrl-C or SIGTERM, after everything was given back.
    Interrupted = 130,
}

impl Exit {
    /// All codes, in order.
    pub const ALL: [Self; 8] = [
        Self::Passed,
        Self::Bug,
        Self::NothingSelected,
        Self::Refused,
        Self::NoEngine,
        Self::Failed,
        Self::Unfit,
        Self::Interrupted,
    ];

    /// The number that the process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it means, in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Passed => "all trials passed",
            Self::Bug => "a bug in the harness",
            Self::NothingSelected => "no scenario selected",
            Self::Refused => "bad arguments or configuration",
            Self::NoEngine => "engine or images not available",
            Self::Failed => "a trial failed or hung",
            Self::Unfit => "none failed, but some are infra or invalid",
            Self::Interrupted => "interrupted",
        }
    }

    /// The code for trials that ended with these verdicts.
    pub fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        match kinds.into_iter().max() {
            None | Some(Kind::Pass) => Self::Passed,
            Some(Kind::Invalid | Kind::Infra) => Self::Unfit,
            Some(Kind::Hang | Kind::Fail) => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An expected failure that keeps trials from starting. Its text is a lower-case fragment.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    /// The exit code it leads to.
    pub exit: Exit,
    /// What is wrong.
    pub what: String,
    /// What a person can do about it.
    pub hint: Option<String>,
}

impl Refusal {
    /// Arguments, configuration or a file cannot be used.
    pub fn config(what: impl Into<String>) -> Self {
        Self {
            exit: Exit::Refused,
            what: what.into(),
            hint: None,
        }
    }

    /// The engine or an image is not available.
    pub fn engine(what: impl Into<String>) -> Self {
        Self {
            exit: Exit::NoEngine,
            what: what.into(),
            hint: None,
        }
    }

    /// The same, with what a person can do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
