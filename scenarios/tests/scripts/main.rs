//! The parts of the backup and deploy scripts that need neither a database nor an engine: the object store and the commands
//! that stand in for the real ones, the check of freshness, the drill's look at metadata, and its meter; how a deploy is
//! put back, with Compose played, and how a drill that is killed cleans up, with the engine played. On this machine's Python
//! and bash, in seconds. What needs more is shown by the scenarios of the families `backup` and `deploy`.

mod backups;
mod deploys;
mod drills;
mod stand_ins;
mod store;

use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a program left: exit code, standard output, standard error.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) error: String,
}

/// A file of the scripts.
pub(crate) fn ops(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../fixtures/ops")
        .join(path)
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Said {
    // From a file: who writes into a pipe to its end before reading waits for a program that waits for its reader.
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    file.rewind().unwrap();
    let output = command
        .stdin(Stdio::from(file))
        .output()
        .expect("the scripts need bash and python3");
    Said {
        code: output.status.code(),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        error: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
