//! Versions of the services' images in the registry of a trial.
//!
//! A version is an image of a service with other words about its build (`GIT_SHA`, `BUILD_TIME`), which makes it another
//! image, with a digest of its own, in milliseconds and without a build. It carries the lease's labels, so what is pulled
//! of it goes with the lease.

use std::collections::BTreeMap;

use crate::engine::{Engine, EngineError};

/// One version of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The commit that it says it was built from: 12 hex digits.
    pub git_sha: String,
    /// When it says it was built: RFC 3339, Z.
    pub build_time: String,
    /// What else is changed, as lines of a Dockerfile.
    pub changes: Vec<String>,
}

/// Makes a version of `image`, pushes it under all the names (`registry/repository:tag`) and returns its id.
///
/// # Errors
/// What the engine says.
pub async fn push(
    engine: &Engine,
    image: &str,
    version: &Version,
    names: &[String],
    labels: &BTreeMap<String, String>,
    scratch: &str,
) -> Result<String, EngineError> {
    let mut changes = vec![
        format!(
            "ENV GIT_SHA={} BUILD_TIME={}",
            version.git_sha, version.build_time
        ),
        format!("LABEL org.opencontainers.image.revision={}", version.git_sha),
    ];
    changes.extend(version.changes.clone());
    let id = engine.changed_image(image, &changes, scratch, labels).await?;
    push_again(engine, &id, names).await?;
    Ok(id)
}

/// Moves the names to a version that was pushed before; the registry has its layers, so this takes no time.
///
/// # Errors
/// What the engine says.
pub async fn push_again(engine: &Engine, id: &str, names: &[String]) -> Result<(), EngineError> {
    for name in names {
        engine.tag(id, name).await?;
        engine.push(name).await?;
    }
    Ok(())
}
