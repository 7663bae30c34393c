//! Removing what a killed pool left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tracing::warn;

use super::{POOL_LABEL, Paths, STATE_LABEL};
use crate::engine::{Engine, EngineError};

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Pools that were found dead.
    pub pools: BTreeSet<String>,
    /// Number of containers.
    pub containers: usize,
    /// Number of networks.
    pub networks: usize,
    /// Networks that the engine keeps although nobody is on them. They are tried again next time.
    pub kept: Vec<String>,
    /// What else could not be removed, in the engine's words. It is tried again next time.
    pub stuck: Vec<String>,
}

/// Removes the containers and networks of every pool of this state folder that does not live any more. Pools that
/// live, and everything without our labels, stay. What cannot be removed stays as well and stops nobody.
///
/// # Errors
/// When the engine does not say what there is.
pub async fn reap(engine: &Engine, paths: &Paths) -> Result<Reaped, EngineError> {
    let state = paths.dir().display().to_string();
    let ours = BTreeMap::from([(STATE_LABEL.to_owned(), state)]);
    let mut ids = BTreeSet::new();
    for labels in engine.labels_of_all(&ours).await? {
        ids.extend(labels.get(POOL_LABEL).cloned());
    }
    let mut reaped = Reaped::default();
    for id in ids {
        let lock = paths.life_lock(&id);
        // The lock is free only if no process holds it; a missing file means the pool ended in an orderly way.
        let dead = fs::File::open(&lock).map_or(true, |file| file.try_lock().is_ok());
        if dead {
            match engine.remove_labelled(POOL_LABEL, &id).await {
                Ok(removed) => {
                    reaped.containers += removed.containers;
                    reaped.networks += removed.networks;
                    reaped.kept.extend(removed.kept);
                    reaped.pools.insert(id.clone());
                    drop(fs::remove_file(lock));
                }
                Err(error @ EngineError::List { .. }) => return Err(error),
                Err(error) => {
                    warn!(pool = %id, %error, "what a killed pool has left cannot be removed");
                    reaped.stuck.push(error.to_string());
                }
            }
            for entry in fs::read_dir(paths.dir()).into_iter().flatten().flatten() {
                // Doors of ops boxes are named after their leases, which end with the pool's id.
                if entry
                    .file_name()
                    .to_string_lossy()
                    .ends_with(&format!("-{id}.sock"))
                {
                    drop(fs::remove_file(entry.path()));
                }
            }
        }
    }
    Ok(reaped)
}
