//! The registry of one trial, and the image that it starts from.
//!
//! A trial's registry is its own, and is gone with it; what takes long is to pack the layers of the services' images for it.
//! So that is done once: a registry is filled with the images as they are and made an image itself ([`filled`]), named by a
//! hash of what is in it. A trial's registry starts from that, and the engine, which has packed these layers before, finds
//! them there. What a trial pushes is new all the same: a version has a digest of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::BoxError;
use crate::client;
use crate::engine::{Engine, Machine};
use crate::lock;
use crate::wait;

/// Longest time for a registry to answer.
const ANSWER: Duration = Duration::from_secs(20);
/// Longest time for which another process may be filling the same registry.
const OTHERS: Duration = Duration::from_mins(3);
/// The port that registries listen at.
const PORT: u16 = 5000;
/// Where a registry keeps things, whatever its image says: not a volume, for no image would hold that.
const STORE: (&str, &str) = (
    "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY",
    "/var/lib/registry-of-trial",
);
/// The tag under which images lie in a registry that was filled.
const TAG: &str = "as-built";

/// A running registry.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) container: String,
    pub(super) port: u16,
}

impl Registry {
    /// Starts one, and waits until it answers.
    pub(super) async fn start(
        engine: &Engine,
        image: &str,
        name: String,
        labels: &BTreeMap<String, String>,
    ) -> Result<Self, BoxError> {
        let (key, folder) = STORE;
        let machine = Machine {
            image: image.to_owned(),
            name,
            labels: labels.clone(),
            env: BTreeMap::from([(key.to_owned(), folder.to_owned())]),
            on_loopback: Some(PORT),
            ..Machine::default()
        };
        let container = engine.start_machine(&machine).await?;
        let port = engine.published(&container, PORT).await?;
        wait::until("the registry to answer", ANSWER, || async {
            let answer = client::get([127, 0, 0, 1].into(), port, "/v2/").await?;
            (answer.status == 200)
                .then_some(())
                .ok_or_else(|| format!("status {}", answer.status))
        })
        .await
        .map_err(|timed_out| BoxError::Registry(timed_out.to_string()))?;
        Ok(Self { container, port })
    }

    /// Its address, as the box and the engine know it.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// What a registry is filled with.
#[derive(Debug, Clone)]
pub struct Filling<'a> {
    /// Image of an empty registry.
    pub registry: &'a str,
    /// Images of services, each with its names in the registry, without its address: `folder/repository`.
    pub images: &'a BTreeMap<&'a str, Vec<String>>,
    /// Folder for locks.
    pub state: &'a Path,
    /// Name of the container that is filled.
    pub scratch: &'a str,
    /// Labels of that container; the image does not carry them.
    pub labels: &'a BTreeMap<String, String>,
}

/// The image of a registry that holds these images, made if there is none.
///
/// # Errors
/// When it cannot be made.
pub async fn filled(engine: &Engine, filling: &Filling<'_>) -> Result<String, BoxError> {
    let tag = tag(engine, filling).await?;
    if engine.image(&tag).await?.is_some() {
        return Ok(tag);
    }
    let _lock = lock::exclusive(&filling.state.join("images"), "registry", OTHERS)
        .await
        .map_err(BoxError::Registry)?;
    if engine.image(&tag).await?.is_some() {
        return Ok(tag);
    }
    let registry = Registry::start(
        engine,
        filling.registry,
        filling.scratch.to_owned(),
        filling.labels,
    )
    .await?;
    let made = fill(engine, filling, &registry, &tag).await;
    // Whatever became of it, the names of a registry that is gone must not stay on the services' images.
    let mut untagged = Ok(());
    for name in names(filling, &registry.address()) {
        let one = engine.untag(&name).await;
        untagged = untagged.and(one);
    }
    made?;
    untagged?;
    Ok(tag)
}

/// Pushes the images into a registry, and makes an image of that.
async fn fill(
    engine: &Engine,
    filling: &Filling<'_>,
    registry: &Registry,
    tag: &str,
) -> Result<(), BoxError> {
    for (image, repositories) in filling.images {
        let names = repositories.iter().map(|name| named(&registry.address(), name));
        super::versions::push_again(engine, image, &names.collect::<Vec<_>>()).await?;
    }
    // Without this the image would go with the lease.
    let labels = filling.labels.keys().map(|name| (name.clone(), String::new()));
    engine.commit(&registry.container, tag, labels.collect()).await?;
    engine.remove_container(&registry.container).await?;
    Ok(())
}

/// What an image is called while it is pushed.
fn named(address: &str, repository: &str) -> String {
    format!("{address}/{repository}:{TAG}")
}

/// All names that a filling gives to images.
fn names(filling: &Filling<'_>, address: &str) -> Vec<String> {
    let all = filling.images.values().flatten();
    all.map(|name| named(address, name)).collect()
}

/// Named by all that is in it.
async fn tag(engine: &Engine, filling: &Filling<'_>) -> Result<String, BoxError> {
    let mut contents = format!("{STORE:?}\n");
    for image in [filling.registry]
        .into_iter()
        .chain(filling.images.keys().copied())
    {
        let id = engine
            .image(image)
            .await?
            .map(|found| found.id)
            .unwrap_or_default();
        writeln!(contents, "{id} {:?}", filling.images.get(image)).expect("a string takes what is written");
    }
    let digest = Sha256::digest(contents.as_bytes());
    let hex = digest.iter().take(8).fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes what is written");
        hex
    });
    Ok(format!("harness-registry-filled:{hex}"))
}
