//! What only one process of this user may do at a time.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use crate::wait;

/// Waits until nobody else, in any process, does what is called `name`; until the result is dropped, nobody else may.
///
/// # Errors
/// In words: the lock cannot be had, or not in time.
pub(crate) async fn exclusive(folder: &Path, name: &str, within: Duration) -> Result<File, String> {
    let path = folder.join(format!("{name}.lock"));
    let shown = path.display();
    let file = std::fs::create_dir_all(folder)
        .and_then(|()| File::options().create(true).append(true).open(&path))
        .map_err(|error| format!("open {shown}: {error}"))?;
    wait::until(&format!("another {name} to be made"), within, || async {
        match file.try_lock() {
            Ok(()) => Ok(Ok(())),
            Err(TryLockError::WouldBlock) => Err(format!("{shown} is locked")),
            Err(TryLockError::Error(error)) => Ok(Err(format!("lock {shown}: {error}"))),
        }
    })
    .await
    .map_err(|error| error.to_string())??;
    Ok(file)
}
