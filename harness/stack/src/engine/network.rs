//! Bridge networks and their gateway addresses.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bollard::models::{Ipam, NetworkCreateRequest};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptions};

use super::{CALL, Cause, Engine, EngineError, call};

/// A bridge network to be created.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Name.
    pub name: String,
    /// No route to the outside world; the gateway address stays reachable.
    pub internal: bool,
    /// Containers on it cannot reach each other, only the gateway address.
    pub isolated: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// Longest wait for the list of networks, which a busy engine gives in a fraction of a second.
const LIST: Duration = Duration::from_secs(20);

impl Engine {
    /// Makes sure that the engine still works on networks. One in which two ends of containers wait for each other's lock
    /// (seen with 20.10) answers a ping, and lists containers, and starts or removes none any more until it is restarted.
    /// Once it has not answered in time, this fails at once.
    ///
    /// # Errors
    /// [`EngineError::List`].
    pub async fn lists_networks(&self) -> Result<(), EngineError> {
        let failed = |cause| EngineError::List {
            what: "networks",
            cause,
        };
        if self.stuck.load(Ordering::Relaxed) {
            return Err(failed(Cause::Deadline(LIST)));
        }
        let asked = self.docker.list_networks(None::<ListNetworksOptions>);
        call(LIST, asked).await.map(drop).map_err(|cause| {
            if matches!(cause, Cause::Deadline(_)) {
                self.stuck.store(true, Ordering::Relaxed);
            }
            failed(cause)
        })
    }

    /// Creates a bridge network on which containers reach each other, and returns its gateway address: where
    /// containers find the engine's machine.
    ///
    /// # Errors
    /// [`EngineError::CreateNetwork`], [`EngineError::InspectNetwork`].
    pub async fn create_network(
        &self,
        name: &str,
        internal: bool,
        labels: &BTreeMap<String, String>,
    ) -> Result<IpAddr, EngineError> {
        let labels = labels.clone();
        self.create_network_with(&NetworkSpec {
            name: name.to_owned(),
            internal,
            isolated: false,
            labels,
        })
        .await
    }

    /// Creates a bridge network and returns its gateway address.
    ///
    /// # Errors
    /// [`EngineError::CreateNetwork`], [`EngineError::InspectNetwork`].
    pub async fn create_network_with(&self, spec: &NetworkSpec) -> Result<IpAddr, EngineError> {
        let isolation = (
            "com.docker.network.bridge.enable_icc".to_owned(),
            "false".to_owned(),
        );
        let request = NetworkCreateRequest {
            name: spec.name.clone(),
            driver: Some("bridge".to_owned()),
            internal: Some(spec.internal),
            // Said in full, because some engines take a missing list of addresses for none.
            ipam: Some(Ipam {
                driver: Some("default".to_owned()),
                config: Some(Vec::new()),
                options: None,
            }),
            options: spec.isolated.then(|| HashMap::from([isolation])),
            labels: Some(spec.labels.clone().into_iter().collect()),
            ..Default::default()
        };
        call(CALL, self.docker.create_network(request))
            .await
            .map_err(|cause| EngineError::CreateNetwork {
                network: spec.name.clone(),
                cause,
            })?;
        self.gateway(&spec.name).await
    }

    /// Gateway address of a network.
    ///
    /// # Errors
    /// [`EngineError::InspectNetwork`], also if it has no gateway.
    pub async fn gateway(&self, network: &str) -> Result<IpAddr, EngineError> {
        let failed = |cause| EngineError::InspectNetwork {
            network: network.to_owned(),
            cause,
        };
        call(
            CALL,
            self.docker
                .inspect_network(network, None::<InspectNetworkOptions>),
        )
        .await
        .map_err(failed)?
        .ipam
        .and_then(|ipam| ipam.config)
        .into_iter()
        .flatten()
        .find_map(|config| config.gateway.and_then(|address| gateway_address(&address)))
        .ok_or_else(|| failed(Cause::Answer("it has no gateway address".to_owned())))
    }

    /// Removes a network. One that is gone already is no error; one with containers on it is.
    ///
    /// # Errors
    /// [`EngineError::RemoveNetwork`]; [`EngineError::KeptNetwork`] if the engine refuses although nobody is on it. That
    /// is a fault of the engine (seen with Docker 20.10): it counts a network's endpoints apart from the endpoints
    /// themselves, and after a miscount keeps the network for ever.
    pub async fn remove_network(&self, network: &str) -> Result<(), EngineError> {
        let cause = match call(CALL, self.docker.remove_network(network)).await {
            Err(cause) if !cause.is_not_found() => cause,
            _ => return Ok(()),
        };
        let network = network.to_owned();
        // 403 is the engine's word for "has active endpoints"; the list of who is on it tells whether that is so.
        if cause.status() == Some(403) && self.is_deserted(&network).await {
            return Err(EngineError::KeptNetwork { network });
        }
        Err(EngineError::RemoveNetwork { network, cause })
    }

    /// The network is there, and the engine knows of no container on it.
    async fn is_deserted(&self, network: &str) -> bool {
        let request = self
            .docker
            .inspect_network(network, None::<InspectNetworkOptions>);
        call(CALL, request)
            .await
            .is_ok_and(|found| found.containers.is_none_or(|on| on.is_empty()))
    }
}

/// Some engines write the gateway with the length of its network, as `172.18.0.1/16`.
fn gateway_address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bollard::{API_DEFAULT_VERSION, Docker};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;
    use tokio::time::Instant;

    use super::{LIST, gateway_address};
    use crate::engine::Engine;

    /// An engine that gives this answer to the first question, and none to any other.
    fn played(folder: &std::path::Path, answer: &'static [u8]) -> Engine {
        let socket = folder.join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        tokio::spawn(async move {
            let mut streams = Vec::new();
            let mut answer = Some(answer);
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut question = [0; 4096];
                assert!(stream.read(&mut question).await.unwrap() > 0);
                stream.write_all(answer.take().unwrap_or_default()).await.unwrap();
                streams.push(stream);
            }
        });
        let socket = socket.to_str().unwrap();
        Engine {
            docker: Docker::connect_with_unix(socket, 120, API_DEFAULT_VERSION).unwrap(),
            stuck: Arc::default(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_engine_whose_networks_are_stuck_is_asked_once() {
        let folder = tempfile::tempdir().unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\
                       connection: close\r\n\r\n[]";
        let engine = played(folder.path(), answer);
        engine.lists_networks().await.unwrap();
        let begin = Instant::now();
        let error = engine.lists_networks().await.unwrap_err().to_string();
        assert_eq!(error, "list networks: no answer from the engine within 20 s");
        assert_eq!(begin.elapsed().as_secs(), LIST.as_secs());
        let begin = Instant::now();
        assert_eq!(
            engine.clone().lists_networks().await.unwrap_err().to_string(),
            error
        );
        assert_eq!(begin.elapsed().as_secs(), 0, "nobody waits again");
    }

    #[test]
    fn a_gateway_may_carry_the_length_of_its_network() {
        let plain = "172.18.0.1".parse().ok();
        assert_eq!(gateway_address("172.18.0.1"), plain);
        assert_eq!(gateway_address("172.18.0.1/16"), plain);
        assert_eq!(gateway_address(""), None);
    }
}
