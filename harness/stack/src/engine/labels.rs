//! Removal by label, the only kind of clean-up there is: everything the harness makes carries a label of its run.

use std::collections::{BTreeMap, HashMap};

use bollard::query_parameters as query;

use super::{CALL, Engine, EngineError, call};

impl Engine {
    /// Removes all containers that carry the label, then the networks and volumes that do. Returns how many containers
    /// and networks there were. All are tried; the first error is returned.
    ///
    /// # Errors
    /// [`EngineError::List`] and the errors of the single removals.
    pub async fn remove_labelled(&self, label: &str, value: &str) -> Result<(usize, usize), EngineError> {
        let label = BTreeMap::from([(label.to_owned(), value.to_owned())]);
        let containers = self.containers_labelled(&label).await?;
        let removals = containers.keys().map(|id| self.remove_container(id));
        let mut results = futures::future::join_all(removals).await;
        let networks = self.networks_labelled(&label).await?;
        for id in networks.keys() {
            results.push(self.remove_network(id).await);
        }
        for volume in self.volumes_labelled(&label).await? {
            results.push(self.remove_volume(&volume).await);
        }
        results.into_iter().collect::<Result<(), _>>()?;
        Ok((containers.len(), networks.len()))
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
