//! Releases: versions of all services in the trial's registry, and the tag that leads to one of them.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use harness_model::event::body_hash;
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::ops::versions::{self, Version};

use crate::ops::{Ops, infra};
use crate::world::lock;

/// Days of the month on which the releases of a trial say they were built.
const DAYS: u64 = 28;
/// What makes a service end as soon as it is started.
const ENDS: &str = r#"ENTRYPOINT ["/bin/false"]"#;

/// A version of all services in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The commit that its services say they were built from.
    pub git_sha: String,
    /// Its images by id, with their names.
    images: Vec<(String, Vec<String>)>,
}

impl Ops {
    /// Pushes another version of all services, and moves the tag to it.
    ///
    /// # Errors
    /// Infra when the registry does not take it.
    pub async fn release(&self) -> Result<Release, Failure> {
        self.push(&[]).await
    }

    /// The same, with services of these roles that end as soon as they are started.
    ///
    /// # Errors
    /// Infra when the registry does not take it.
    pub async fn broken_release(&self, roles: &[&str]) -> Result<Release, Failure> {
        self.push(roles).await
    }

    async fn push(&self, broken: &[&str]) -> Result<Release, Failure> {
        let (site, deploy) = (self.site()?, self.deploy_of()?);
        let number = site.releases.fetch_add(1, Ordering::Relaxed) + 1;
        let git_sha = body_hash(format!("{} {number}", self.world.seed).as_bytes())[..12].to_owned();
        let internal = self.internal()?;
        let mut names = BTreeMap::<(&str, bool), Vec<String>>::new();
        for (role, image) in &site.images {
            let name = format!("{internal}{}:{}", deploy.service(role), deploy.tag);
            let broken = broken.iter().any(|broken| Name::new(*broken) == *role);
            names.entry((image.as_str(), broken)).or_default().push(name);
        }
        let lease = lock(&self.world.grant).lease.clone();
        let mut images = Vec::new();
        for (index, ((image, broken), names)) in names.iter().enumerate() {
            let version = Version {
                git_sha: git_sha.clone(),
                build_time: format!("2026-10-{:02}T10:00:00Z", number % DAYS + 1),
                changes: broken.then(|| ENDS.to_owned()).into_iter().collect(),
            };
            let scratch = format!("harness-{lease}-release-{number}-{index}");
            let id = versions::push(&self.world.engine, image, &version, names, &site.labels, &scratch)
                .await
                .map_err(infra)?;
            images.push((id, names.clone()));
        }
        Ok(Release { git_sha, images })
    }

    /// Moves the tag to a release that was pushed before.
    ///
    /// # Errors
    /// Infra when the registry does not take it.
    pub async fn tag(&self, release: &Release) -> Outcome {
        for (id, names) in &release.images {
            versions::push_again(&self.world.engine, id, names)
                .await
                .map_err(infra)?;
        }
        Ok(())
    }

    /// Ends the registry: from now on nobody answers at its address.
    ///
    /// # Errors
    /// Infra when the engine refuses.
    pub async fn lose_registry(&self) -> Outcome {
        match self.site()?.ops_box.registry_container() {
            Some(container) => self.world.engine.remove_container(container).await.map_err(infra),
            None => Err(Failure::invalid("there is no registry")),
        }
    }
}
