//! Removal by label, the only kind of clean-up there is: everything the harness makes carries a label of its run.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::query_parameters as query;

use super::{CALL, Engine, EngineError, call};

/// What went and what did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Number of containers that are gone.
    pub containers: usize,
    /// Number of networks that are gone.
    pub networks: usize,
    /// Networks that the engine keeps although nobody is on them ([`EngineError::KeptNetwork`]).
    pub kept: Vec<String>,
}

impl Engine {
    /// Removes all containers that carry the label, then the networks, volumes and images that do. All are tried; the
    /// first error is returned. A network that only the engine keeps is no error.
    ///
    /// # Errors
    /// [`EngineError::List`] and the errors of the single removals.
    pub async fn remove_labelled(&self, label: &str, value: &str) -> Result<Removed, EngineError> {
        let label = BTreeMap::from([(label.to_owned(), value.to_owned())]);
        let containers = self.containers_labelled(&label).await?;
        let mut results = Vec::new();
        for id in containers.keys() {
            results.push(self.remove_container(id).await);
        }
        let mut removed = Removed {
            containers: containers.len(),
            ..Removed::default()
        };
        for id in self.networks_labelled(&label).await?.into_keys() {
            match self.remove_network(&id).await {
                Ok(()) => removed.networks += 1,
                Err(EngineError::KeptNetwork { network }) => removed.kept.push(network),
                Err(error) => results.push(Err(error)),
            }
        }
        for volume in self.volumes_labelled(&label).await? {
            results.push(self.remove_volume(&volume).await);
        }
        for image in self.images_labelled(&label).await? {
            results.push(self.remove_image(&image).await);
        }
        results.into_iter().collect::<Result<(), _>>()?;
        Ok(removed)
    }

    /// The labels of every container and network, running or not, that carries all the given labels.
    ///
    /// # Errors
    /// [`EngineError::List`].
    pub async fn labels_of_all(
        &self,
        labels: &BTreeMap<String, String>,
    ) -> Result<Vec<BTreeMap<String, String>>, EngineError> {
        let (containers, networks) =
            tokio::try_join!(self.containers_labelled(labels), self.networks_labelled(labels))?;
        Ok(containers
            .into_iter()
            .chain(networks)
            .map(|(_, labels)| labels)
            .collect())
    }

    /// Ids and labels of the containers, running or not, that carry all the given labels, ordered by id.
    ///
    /// # Errors
    /// [`EngineError::List`].
    pub async fn containers_labelled(
        &self,
        labels: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, EngineError> {
        let options = query::ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filter(labels))
            .build();
        let found = call(CALL, self.docker.list_containers(Some(options)))
            .await
            .map_err(|cause| EngineError::List {
                what: "containers",
                cause,
            })?;
        Ok(found
            .into_iter()
            .filter_map(|one| Some((one.id?, one.labels.unwrap_or_default().into_iter().collect())))
            .collect())
    }

    async fn networks_labelled(
        &self,
        labels: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, EngineError> {
        let options = query::ListNetworksOptionsBuilder::new()
            .filters(&filter(labels))
            .build();
        let found = call(CALL, self.docker.list_networks(Some(options)))
            .await
            .map_err(|cause| EngineError::List {
                what: "networks",
                cause,
            })?;
        Ok(found
            .into_iter()
            .filter_map(|one| Some((one.id?, one.labels.unwrap_or_default().into_iter().collect())))
            .collect())
    }

    async fn volumes_labelled(&self, labels: &BTreeMap<String, String>) -> Result<Vec<String>, EngineError> {
        let options = query::ListVolumesOptionsBuilder::new()
            .filters(&filter(labels))
            .build();
        let found = call(CALL, self.docker.list_volumes(Some(options)))
            .await
            .map_err(|cause| EngineError::List {
                what: "volumes",
                cause,
            })?;
        Ok(found
            .volumes
            .into_iter()
            .flatten()
            .map(|volume| volume.name)
            .collect())
    }

    /// Names of the containers, networks and volumes that carry a label, each after the word for what it is.
    ///
    /// # Errors
    /// [`EngineError::List`].
    pub async fn names_labelled(&self, label: &str, value: &str) -> Result<BTreeSet<String>, EngineError> {
        let labels = BTreeMap::from([(label.to_owned(), value.to_owned())]);
        let options = query::ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filter(&labels))
            .build();
        let containers = call(CALL, self.docker.list_containers(Some(options)));
        let listed = |what, cause| EngineError::List { what, cause };
        let mut names = BTreeSet::new();
        for container in containers.await.map_err(|cause| listed("containers", cause))? {
            for name in container.names.unwrap_or_default() {
                names.insert(format!("container {}", name.trim_start_matches('/')));
            }
        }
        let options = query::ListNetworksOptionsBuilder::new()
            .filters(&filter(&labels))
            .build();
        let networks = call(CALL, self.docker.list_networks(Some(options)));
        for network in networks.await.map_err(|cause| listed("networks", cause))? {
            names.extend(network.name.map(|name| format!("network {name}")));
        }
        let volumes = self.volumes_labelled(&labels).await?;
        names.extend(volumes.into_iter().map(|name| format!("volume {name}")));
        Ok(names)
    }

    /// Ids of the images that carry all the given labels.
    ///
    /// # Errors
    /// [`EngineError::List`].
    pub async fn images_labelled(
        &self,
        labels: &BTreeMap<String, String>,
    ) -> Result<Vec<String>, EngineError> {
        let options = query::ListImagesOptionsBuilder::new()
            .filters(&filter(labels))
            .build();
        let found = call(CALL, self.docker.list_images(Some(options)))
            .await
            .map_err(|cause| EngineError::List {
                what: "images",
                cause,
            })?;
        Ok(found.into_iter().map(|image| image.id).collect())
    }

    /// Removes an image with all its names. One that is gone already is no error.
    async fn remove_image(&self, image: &str) -> Result<(), EngineError> {
        let options = query::RemoveImageOptionsBuilder::new().force(true).build();
        match call(CALL, self.docker.remove_image(image, Some(options), None)).await {
            // 409: another removal is under way.
            Err(cause) if !matches!(cause.status(), Some(404 | 409)) => Err(EngineError::RemoveImage {
                image: image.to_owned(),
                cause,
            }),
            _ => Ok(()),
        }
    }

    /// Labels of a container; none if there is no such container.
    ///
    /// # Errors
    /// [`EngineError::Inspect`].
    pub async fn container_labels(&self, id: &str) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        match self.raw(id).await {
            Ok(found) => {
                let labels = found.config.and_then(|config| config.labels);
                Ok(Some(labels.unwrap_or_default().into_iter().collect()))
            }
            Err(EngineError::Inspect { cause, .. }) if cause.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Labels of a network; none if there is no such network.
    ///
    /// # Errors
    /// [`EngineError::InspectNetwork`].
    pub async fn network_labels(&self, id: &str) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        let request = self
            .docker
            .inspect_network(id, None::<query::InspectNetworkOptions>);
        match call(CALL, request).await {
            Ok(found) => Ok(Some(found.labels.unwrap_or_default().into_iter().collect())),
            Err(cause) if cause.is_not_found() => Ok(None),
            Err(cause) => Err(EngineError::InspectNetwork {
                network: id.to_owned(),
                cause,
            }),
        }
    }

    /// Labels of a volume; none if there is no such volume.
    ///
    /// # Errors
    /// [`EngineError::List`].
    pub async fn volume_labels(&self, name: &str) -> Result<Option<BTreeMap<String, String>>, EngineError> {
        match call(CALL, self.docker.inspect_volume(name)).await {
            Ok(found) => Ok(Some(found.labels.into_iter().collect())),
            Err(cause) if cause.is_not_found() => Ok(None),
            Err(cause) => Err(EngineError::List {
                what: "volumes",
                cause,
            }),
        }
    }

    /// Creates a volume; one of this name that is there is left as it is.
    ///
    /// # Errors
    /// [`EngineError::CreateVolume`].
    pub async fn create_volume(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        let request = bollard::models::VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..Default::default()
        };
        match call(CALL, self.docker.create_volume(request)).await {
            Ok(_) => Ok(()),
            Err(cause) => Err(EngineError::CreateVolume {
                volume: name.to_owned(),
                cause,
            }),
        }
    }

    async fn remove_volume(&self, volume: &str) -> Result<(), EngineError> {
        match call(
            CALL,
            self.docker
                .remove_volume(volume, None::<query::RemoveVolumeOptions>),
        )
        .await
        {
            Err(cause) if !cause.is_not_found() => Err(EngineError::RemoveVolume {
                volume: volume.to_owned(),
                cause,
            }),
            _ => Ok(()),
        }
    }
}

/// The engine's filter for objects that carry all of the labels.
fn filter(labels: &BTreeMap<String, String>) -> HashMap<&'static str, Vec<String>> {
    HashMap::from([(
        "label",
        labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect(),
    )])
}
