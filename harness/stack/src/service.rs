//! The containers of the services under test.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use harness_model::name::Name;
use harness_model::topology::template::{Address, TemplateError, Values};
use harness_model::topology::{Service, Topology};
use serde_json::Value;

use crate::client;
use crate::container::{Container, ContainerError, Launch};
use crate::engine::{Engine, EngineError};
use crate::pool::{Grant, LEASE_LABEL, NetworkInfo, POOL_LABEL, STATE_LABEL};

/// How many log lines an error shows.
pub const LOG_TAIL: usize = 20;

/// Longest time that a container without an address takes to have ended.
const ADDRESSLESS: Duration = Duration::from_secs(5);

/// How a service of a trial reaches its backends: the addresses of its taps, and the trial's credentials.
#[derive(Debug, Clone)]
pub struct Links {
    /// Its tap in front of the broker.
    pub broker: SocketAddr,
    /// Its tap in front of the database.
    pub database: SocketAddr,
    /// User on both, and the name of the schema.
    pub user: String,
    /// Password on both.
    pub password: String,
}

/// The trial for which a container is started.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// What is under test.
    pub topology: &'a Topology,
    /// The trial's lease.
    pub grant: &'a Grant,
    /// Labels of everything that the trial starts; see [`labels`].
    pub labels: &'a BTreeMap<String, String>,
}

/// One container of a service that is to be started.
#[derive(Debug, Clone, Copy)]
pub struct Instance<'a> {
    /// The service.
    pub role: &'a Name,
    /// Which of the service's containers, from 1.
    pub number: u16,
    /// What the topology says of the service.
    pub service: &'a Service,
    /// Reference of its image, as the engine knows it.
    pub image: &'a str,
    /// Where it finds the upstream that the harness plays for it: `{upstream.url}` in its environment.
    pub upstream: Option<&'a str>,
}

impl Instance<'_> {
    /// Its name among the trial's containers: the role for the first, then `role-2` and so on.
    pub fn name(&self) -> Name {
        if self.number <= 1 {
            self.role.clone()
        } else {
            Name::from(format!("{}-{}", self.role, self.number))
        }
    }
}

/// A service that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Its environment.
    #[error("environment of {role}: {cause}")]
    Template {
        /// The service.
        role: Name,
        /// What is wrong.
        cause: TemplateError,
    },
    /// Its container.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It ended at once.
    #[error("{role} ended with code {code} before it was healthy; its last log lines:\n{log}")]
    Ended {
        /// The service.
        role: Name,
        /// Its exit code.
        code: i64,
        /// The end of its log.
        log: String,
    },
    /// A migration or other one-shot step that did not exit with 0.
    #[error("step {name} ended with code {code}; its last log lines:\n{log}")]
    Step {
        /// The step.
        name: String,
        /// Its exit code.
        code: i64,
        /// The end of its log.
        log: String,
    },
}

/// What a health endpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthAnswer {
    /// HTTP status; 0 without an answer.
    pub status: u16,
    /// What it says of the broker, if the topology tells where to look.
    pub broker: Option<bool>,
    /// Healthy, by the topology's terms; otherwise why not.
    pub verdict: Result<(), String>,
}

/// A running service.
#[derive(Debug)]
pub struct Running {
    /// Its role.
    pub role: Name,
    /// Its own name: that of its role, or `role-2` and so on; see [`Instance::name`].
    pub name: Name,
    /// Its container's id.
    pub container: String,
    /// Its address; it changes with a restart.
    pub ip: IpAddr,
    /// What the topology says of it.
    pub service: Service,
    network: String,
    /// None for a container that somebody else has started.
    handle: Option<Container>,
}

/// The labels of everything that a lease starts.
pub fn labels(grant: &Grant, state: &str) -> BTreeMap<String, String> {
    [
        (POOL_LABEL, grant.pool.as_str()),
        (LEASE_LABEL, &grant.lease),
        (STATE_LABEL, state),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

fn network<'a>(topology: &Topology, grant: &'a Grant) -> &'a NetworkInfo {
    if topology.outside {
        &grant.outside
    } else {
        &grant.inside
    }
}

/// The host's address on the services' network: where their taps have to listen.
pub fn gateway(topology: &Topology, grant: &Grant) -> IpAddr {
    network(topology, grant).gateway
}

/// What the placeholders of a service's environment mean for these links.
pub fn variables(topology: &Topology, service: Option<&Service>, links: &Links) -> Values {
    let address = |addr: SocketAddr, name: &str| Address {
        host: addr.ip().to_string(),
        port: addr.port(),
        user: links.user.clone(),
        password: links.password.clone(),
        name: name.to_owned(),
    };
    // Services know of one virtual host, `/`; their tap puts the trial's in its place.
    Values::new(
        topology,
        service,
        &address(links.database, &links.user),
        &address(links.broker, "/"),
    )
}

impl Running {
    /// Starts a container of a service. It is not waited for; see [`Running::health`].
    ///
    /// # Errors
    /// When its environment cannot be filled in, or the engine refuses.
    pub async fn start_instance(
        site: &Site<'_>,
        instance: &Instance<'_>,
        links: &Links,
    ) -> Result<Self, ServiceError> {
        let Site {
            engine,
            topology,
            grant,
            labels,
        } = *site;
        let Instance { role, service, .. } = *instance;
        let name = instance.name();
        let mut values = variables(topology, Some(service), links);
        if let Some(url) = instance.upstream {
            values.set("upstream.url", &url);
        }
        let env = topology
            .environment(service, &values)
            .map_err(|cause| ServiceError::Template {
                role: role.clone(),
                cause,
            })?;
        let network = network(topology, grant).name.clone();
        let launch = Launch {
            image: instance.image.to_owned(),
            name: format!("harness-{}-{name}", grant.lease),
            hostname: name.to_string(),
            network: network.clone(),
            labels: labels.clone(),
            env,
            command: service.command.clone(),
            ..Launch::default()
        };
        let handle = Container::start(&launch).await?;
        let container = handle.id().to_owned();
        let ip = match engine.container_ip(&container, &network).await {
            Ok(ip) => ip,
            // One that ends gives its address back, and only then counts as ended.
            Err(error) => {
                let ended = tokio::time::timeout(ADDRESSLESS, Self::ended(engine, &name, &container));
                return Err(ended
                    .await
                    .map_or_else(|_| error.into(), |ended| ended.unwrap_or_else(Into::into)));
            }
        };
        Ok(Self {
            role: role.clone(),
            name,
            container,
            ip,
            service: service.clone(),
            network,
            handle: Some(handle),
        })
    }

    /// What to say of a service that has ended before it was healthy: its exit code and its last log lines.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn ended(engine: &Engine, role: &Name, container: &str) -> Result<ServiceError, EngineError> {
        Ok(ServiceError::Ended {
            role: role.clone(),
            code: engine.wait_exit(container).await?,
            log: engine.logs_tail(container, LOG_TAIL).await?,
        })
    }

    /// Takes a running container, which somebody else has started, for a service.
    ///
    /// # Errors
    /// What the engine says; also when it has no address.
    pub async fn adopted(
        engine: &Engine,
        role: &Name,
        name: Name,
        service: &Service,
        container: &str,
    ) -> Result<Self, EngineError> {
        let mut addresses = engine.addresses(container).await?.into_iter();
        let Some((network, ip)) = addresses.next() else {
            return Err(EngineError::Inspect {
                container: container.to_owned(),
                cause: crate::engine::Cause::Answer("it has no address; does it run?".to_owned()),
            });
        };
        Ok(Self {
            role: role.clone(),
            name,
            container: container.to_owned(),
            ip,
            service: service.clone(),
            network,
            handle: None,
        })
    }

    /// Asks its health endpoint.
    pub async fn health(&self) -> HealthAnswer {
        health(self.ip, &self.service).await
    }

    /// Starts it again after it has ended, and learns its address.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn restart(&mut self, engine: &Engine) -> Result<(), EngineError> {
        engine.start(&self.container).await?;
        self.ip = engine.container_ip(&self.container, &self.network).await?;
        Ok(())
    }

    /// Kills and removes it, if it was started here.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn remove(self) -> Result<(), ContainerError> {
        match self.handle {
            Some(handle) => handle.remove().await,
            None => Ok(()),
        }
    }
}

/// Asks the health endpoint of a service at an address.
pub async fn health(ip: IpAddr, service: &Service) -> HealthAnswer {
    let health = &service.health;
    let answer = match client::get(ip, service.port, &health.path).await {
        Ok(answer) => answer,
        Err(cause) => {
            return HealthAnswer {
                status: 0,
                broker: None,
                verdict: Err(cause),
            };
        }
    };
    let broker = health
        .broker
        .as_deref()
        .and_then(|at| answer.body.pointer(at))
        .and_then(Value::as_bool);
    let verdict = if answer.status != health.status {
        Err(format!(
            "status {}, not {}: {}",
            answer.status, health.status, answer.body
        ))
    } else if health.broker.is_some() && broker != Some(true) {
        Err(format!("not connected to the broker: {}", answer.body))
    } else {
        Ok(())
    };
    HealthAnswer {
        status: answer.status,
        broker,
        verdict,
    }
}

/// Runs a one-shot container to its end.
///
/// # Errors
/// When it cannot be started or does not exit with 0.
pub async fn run_step(
    site: &Site<'_>,
    step: &harness_model::topology::Step,
    image: &str,
    links: &Links,
) -> Result<(), ServiceError> {
    let Site {
        engine,
        topology,
        grant,
        labels,
    } = *site;
    let values = variables(topology, None, links);
    let env = step
        .env
        .iter()
        .map(|(name, text)| {
            let filled = harness_model::topology::template::fill(text, &values);
            filled.map(|filled| (name.clone(), filled))
        })
        .collect::<Result<_, _>>()
        .map_err(|cause| ServiceError::Template {
            role: Name::new(&step.name),
            cause,
        })?;
    let launch = Launch {
        image: image.to_owned(),
        name: format!("harness-{}-step-{}", grant.lease, step.name),
        network: network(topology, grant).name.clone(),
        labels: labels.clone(),
        env,
        command: step.command.clone(),
        ..Launch::default()
    };
    let container = Container::start(&launch).await?;
    let code = engine.wait_exit(container.id()).await?;
    if code != 0 {
        let log = engine.logs_tail(container.id(), LOG_TAIL).await?;
        return Err(ServiceError::Step {
            name: step.name.clone(),
            code,
            log,
        });
    }
    Ok(container.remove().await?)
}

#[cfg(test)]
mod tests {
    use harness_model::name::Name;
    use harness_model::topology::Topology;

    use super::Instance;

    #[test]
    fn the_first_container_has_the_name_of_its_role() {
        let text = include_str!("../../../fixtures/topologies/ci.toml");
        let topology = Topology::parse("ci.toml", text).unwrap();
        let names = [1, 2, 3].map(|number| {
            let instance = Instance {
                role: &Name::new("tags"),
                number,
                service: &topology.services["tags"],
                image: "",
                upstream: None,
            };
            instance.name()
        });
        assert_eq!(names, ["tags", "tags-2", "tags-3"]);
    }
}
