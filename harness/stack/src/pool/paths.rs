//! Where the pool keeps its socket, locks and log: a folder of the user's under the system's temporary folder, the same
//! for every checkout, so that they share one pool.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use super::protocol::VERSION;

/// A state folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It, or a file in it, cannot be made.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody else made it first.
    #[error("{} belongs to user {owner}, not to user {me}; remove it or set TMPDIR to another folder", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who runs this.
        me: u32,
    },
}

/// The files of the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    dir: PathBuf,
}

impl Paths {
    /// The user's state folder, made if it is not there: readable by nobody else, since passwords pass through its
    /// socket.
    ///
    /// # Errors
    /// When it cannot be made or belongs to somebody else.
    pub fn of_user() -> Result<Self, StateError> {
        let me = rustix::process::getuid().as_raw();
        Self::at(std::env::temp_dir().join(format!("harness-{me}")))
    }

    /// The same in a given folder.
    ///
    /// # Errors
    /// When it cannot be made or belongs to somebody else.
    pub fn at(dir: PathBuf) -> Result<Self, StateError> {
        let me = rustix::process::getuid().as_raw();
        let wrap = |source| StateError::Io {
            path: dir.clone(),
            source,
        };
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(wrap(error)),
            _ => {}
        }
        let owner = fs::symlink_metadata(&dir).map_err(wrap)?.uid();
        if owner != me {
            return Err(StateError::Foreign { path: dir, owner, me });
        }
        Ok(Self { dir })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The socket of pools that speak this version.
    pub fn socket(&self) -> PathBuf {
        self.dir.join(format!("pool-v{VERSION}.sock"))
    }

    /// Held by who starts a pool, and by a pool that is about to end.
    pub fn spawn_lock(&self) -> PathBuf {
        self.dir.join("spawn.lock")
    }

    /// Locked as long as pool `id` lives.
    pub fn life_lock(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.alive"))
    }

    /// The pools' log.
    pub fn log(&self) -> PathBuf {
        self.dir.join("pool.log")
    }

    /// Opens (and makes) a lock file.
    pub(super) fn lock_file(path: &Path) -> Result<File, StateError> {
        File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(|source| StateError::Io {
                path: path.to_owned(),
                source,
            })
    }
}
