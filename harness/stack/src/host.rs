//! Facts about the machine that this runs on.

use std::io;
use std::path::Path;

/// Bytes that are free on the file system of `folder`, for a user without privileges.
///
/// # Errors
/// When the file system cannot be asked.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}
