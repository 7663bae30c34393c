//! Running the command with files of its own, and reading what it says.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use harness::remains::Observer;
use serde_json::Value;

/// Longest time for what is left behind to be removed: a lease at once, a pool after its linger of 1 s.
pub(crate) const CLEAN: Duration = Duration::from_secs(30);

/// One test at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A place to run the command in.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) observer: Observer,
    _turn: MutexGuard<'static, ()>,
}

impl Site {
    pub(crate) fn new() -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        Self {
            folder,
            observer: Observer::new().unwrap(),
            _turn: turn,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The state folder that the command uses here.
    pub(crate) fn state(&self) -> PathBuf {
        let name = std::fs::read_dir(self.path()).unwrap().find_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.starts_with("harness-").then_some(name)
        });
        self.path()
            .join(name.expect("the command has made its state folder"))
    }

    /// The command. Its pool lingers for a second only, and its runs are stored here.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command
            .args(args)
            .env("TMPDIR", self.path())
            .env("HARNESS_OUT", self.path().join("runs"))
            .env("HARNESS_LINGER", "1")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Starts a run in a process group of its own, and waits until all of `trials` trials are in their bodies.
    pub(crate) fn in_bodies(&self, args: &[&str], trials: usize) -> Child {
        let mut child = self
            .command(args)
            .args(["--format", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut bodies = 0;
        let mut seen = Vec::new();
        for line in lines {
            let line = line.unwrap();
            let event: Value = serde_json::from_str(&line).unwrap();
            seen.push(line);
            bodies += usize::from(event["phase"] == "body");
            if bodies == trials {
                return child;
            }
        }
        let status = child.wait().unwrap();
        panic!("the run ended with {status} before {trials} trials were in their bodies: {seen:#?}");
    }

    /// Nothing of this place is left on the engine, at the latest after the pool's linger.
    pub(crate) fn assert_clean(&self) {
        self.observer
            .wait("nothing to be left", &self.state(), CLEAN, <[String]>::is_empty)
            .unwrap();
    }
}

/// What the command said on stderr and stdout.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout)
    )
}

/// Sends a signal with the shell's own `kill`, to a process or, with a minus sign, to a group.
pub(crate) fn signal(name: &str, to: &str) {
    let status = Command::new("kill")
        .args(["-s", name, "--", to])
        .status()
        .unwrap();
    assert!(status.success(), "kill -s {name} -- {to}");
}
