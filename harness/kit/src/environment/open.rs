//! What a trial works on is made: its ledger and taps, its part of the backends, its services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness_model::event::{Backend, Step};
use harness_model::name::Name;
use harness_model::topology::{Service, Setup, Topology};
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_runner::trial::Trial;
use harness_stack::admin::{BrokerAdmin, DatabaseAdmin};
use harness_stack::backend;
use harness_stack::client::{HARNESS, Messenger};
use harness_stack::pool::{Grant, Lease};
use harness_stack::service::{self, Instance, Links, Running, Site};
use harness_stack::{secret, wait};
use harness_wire::amqp::{self, AmqpOptions};
use harness_wire::clock::Clock;
use harness_wire::in_flight::{InFlight, InjectedKeys};
use harness_wire::mysql;
use harness_wire::recorder::Recorder;
use harness_wire::tap::{Tap, TapSpec};
use tokio::sync::Mutex as AsyncMutex;

use super::Stack;
use super::played::played;
use crate::commands::step_role;
use crate::world::{LinkId, Log, World, lock};
use crate::{files, perturb};

/// Longest time from a service's start to its first healthy answer.
const SERVICE_DEADLINE: Duration = Duration::from_secs(30);

impl Stack {
    /// The trial's ledger and taps, with nothing behind them made yet.
    pub(super) async fn world(&self, trial: &Trial, lease: Lease) -> Result<World, Failure> {
        let topology = Arc::new(self.topology.with(trial.setup).map_err(Failure::invalid)?);
        let grant = lease.grant().clone();
        let path = trial.ledger_path();
        let recorder = Recorder::create(path.as_std_path(), Clock::monotonic())
            .map_err(|error| Failure::infra(format!("make the ledger {path}: {error}")))?;
        let injected_keys = InjectedKeys::new();
        let options = amqp_options(&topology, &grant.lease, injected_keys.clone());
        let bind = service::gateway(&topology, &grant);
        let upstreams = played(&topology, trial.setup, bind, &recorder).await?;
        let mut taps = BTreeMap::new();
        let harness = Name::new(HARNESS);
        for role in topology.services.keys().chain([&harness]) {
            let in_flight = InFlight::new();
            for which in [Backend::Broker, Backend::Database] {
                let info = match which {
                    Backend::Broker => &grant.broker,
                    Backend::Database => &grant.database,
                };
                let codec = match which {
                    Backend::Broker => amqp::codec(options.clone(), in_flight.clone()),
                    Backend::Database => mysql::codec(in_flight.clone()),
                };
                let spec = TapSpec {
                    service: role.clone(),
                    bind,
                    backend: which,
                    upstream: backend::address(which, info.ip),
                    recorder: recorder.clone(),
                    codec,
                };
                let tap = Tap::open(spec).map_err(|error| {
                    Failure::infra(format!("listen at {bind} for {role}: {error}"))
                        .hint("the engine must run on this machine: containers reach taps at their network's gateway")
                })?;
                let link: LinkId = (role.clone(), which);
                taps.insert(link, tap);
            }
        }
        let password = secret::password();
        let messenger = Messenger::new(
            taps[&(harness, Backend::Broker)].addr(),
            &grant.lease,
            &password,
            "/",
        );
        Ok(World {
            engine: self.engine.clone(),
            topology,
            needs: trial.needs,
            seed: trial.seed,
            recorder,
            late: perturb::late(&trial.perturbation, &taps, trial.seed.derive("late")),
            taps,
            perturbation: trial.perturbation.clone(),
            still: tokio::sync::RwLock::default(),
            services: AsyncMutex::default(),
            upstreams,
            down: Mutex::default(),
            messenger: AsyncMutex::new(messenger),
            rows: AsyncMutex::default(),
            lease: AsyncMutex::new(Some(lease)),
            grant: Mutex::new(grant),
            injected_keys,
            log: Mutex::new(Log::default()),
            waiting: Mutex::default(),
            password,
            deployed: trial.setup.contains(&Setup::Deployed),
            ops: tokio::sync::OnceCell::new(),
        })
    }

    pub(crate) fn links(world: &World, role: &Name) -> Result<Links, Failure> {
        let user = lock(&world.grant).lease.clone();
        Ok(Links {
            broker: world.tap(role, Backend::Broker)?.addr(),
            database: world.tap(role, Backend::Database)?.addr(),
            user,
            password: world.password.clone(),
        })
    }

    /// Makes the virtual host and the schema, at the same time, then runs the steps.
    pub(super) async fn provision(&self, world: &World) -> Outcome {
        let grant = lock(&world.grant).clone();
        let scripts = self.scripts()?;
        let broker = async {
            let failed = |error| Failure::infra(format!("provision the broker: {error}"));
            let admin = BrokerAdmin::new(&grant.broker);
            admin
                .provision(&grant.lease, &world.password, &world.topology)
                .await
                .map_err(failed)?;
            admin.declared(&grant.lease).await.map_err(failed)
        };
        let database = async {
            let failed = |error| Failure::infra(format!("provision the database: {error}"));
            let mut admin = DatabaseAdmin::connect(&grant.database).await.map_err(failed)?;
            admin
                .provision(&grant.lease, &world.password, &scripts)
                .await
                .map_err(failed)
        };
        let (declared, ()) = tokio::try_join!(broker, database)?;
        lock(&world.log).declared_before = Some(declared);
        let labels = service::labels(&grant, &self.paths.dir().display().to_string());
        let site = self.site(world, &grant, &labels);
        let links = Self::links(world, &Name::new(HARNESS))?;
        for step in &self.topology.steps {
            if step.image.is_some() {
                let image = &self.image(&step_role(&step.name))?.reference;
                service::run_step(&site, step, image, &links)
                    .await
                    .map_err(|error| Failure::infra(error.to_string()))?;
            }
        }
        Ok(())
    }

    fn site<'a>(
        &'a self,
        world: &'a World,
        grant: &'a Grant,
        labels: &'a BTreeMap<String, String>,
    ) -> Site<'a> {
        Site {
            engine: &self.engine,
            topology: &world.topology,
            grant,
            labels,
        }
    }

    /// The SQL files of all steps, in order.
    pub(crate) fn scripts(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut scripts = Vec::new();
        for step in &self.topology.steps {
            let texts = files::sql(&self.folder, &step.sql)
                .map_err(|cause| Failure::infra(format!("step {}: {cause}", step.name)))?;
            scripts.extend(texts);
        }
        Ok(scripts)
    }

    /// Starts all services, in the waves that `start_after` makes, and waits until every one is healthy.
    pub(super) async fn start_services(&self, world: &World) -> Outcome {
        let grant = lock(&world.grant).clone();
        let labels = service::labels(&grant, &self.paths.dir().display().to_string());
        let site = self.site(world, &grant, &labels);
        let mut left: BTreeMap<&Name, &Service> = world.topology.services.iter().collect();
        while !left.is_empty() {
            let waits = |service: &Service| service.start_after.iter().any(|role| left.contains_key(role));
            let (later, wave): (BTreeMap<_, _>, BTreeMap<_, _>) =
                left.clone().into_iter().partition(|(_, service)| waits(service));
            if wave.is_empty() {
                return Err(Failure::infra("the services' start order goes in a circle"));
            }
            let mut starts: Vec<_> = wave
                .iter()
                .flat_map(|(role, service)| (1..=service.instances).map(move |n| (*role, n, *service)))
                .collect();
            let order = world.perturbation.start_order;
            perturb::order(&mut starts, order, |(role, n, _)| format!("{role}-{n}"));
            let starts = starts
                .into_iter()
                .map(|(role, n, service)| self.start_service(world, &site, role, n, service));
            if order.is_some() {
                // One after the other, or it would be no order.
                for start in starts {
                    start.await?;
                }
            } else {
                futures::future::try_join_all(starts).await?;
            }
            left = later;
        }
        Ok(())
    }

    async fn start_service(
        &self,
        world: &World,
        site: &Site<'_>,
        role: &Name,
        instance: u16,
        described: &Service,
    ) -> Outcome {
        let image = self.image(role)?.reference.clone();
        let links = Self::links(world, role)?;
        let asks = |name: &&Name| world.topology.upstreams[*name].service == *role;
        let upstream = world.upstreams.keys().find(asks);
        let upstream = upstream.map(|name| world.upstreams[name].server.url());
        let instance = Instance {
            role,
            number: instance,
            service: described,
            image: &image,
            upstream: upstream.as_deref(),
        };
        let running = Running::start_instance(site, &instance, &links)
            .await
            .map_err(|error| Failure::infra(format!("start {role}: {error}")))?;
        perturb::limit(
            &world.perturbation,
            &self.engine,
            &running.name,
            &running.container,
        )
        .await?;
        world.note(
            None,
            Step::Container {
                name: running.name.clone(),
                change: "started".to_owned(),
                exit: None,
            },
        );
        world.waiting_for(format!("{role} to be healthy"));
        let awaited = format!("{role} to be healthy");
        let healthy = wait::until(&awaited, SERVICE_DEADLINE, || async {
            running.health().await.verdict
        });
        let infra = |error: &dyn std::fmt::Display| Failure::infra(error.to_string());
        tokio::select! {
            healthy = healthy => if let Err(timed_out) = healthy {
                let log = self.engine.logs_tail(&running.container, service::LOG_TAIL).await;
                let log = log.unwrap_or_else(|error| error.to_string());
                return Err(Failure::infra(format!("{timed_out}; its last log lines:\n{log}")));
            },
            ended = Running::ended(&self.engine, role, &running.container) => {
                return Err(ended.map_or_else(|error| infra(&error), |ended| infra(&ended)));
            }
        }
        world.services.lock().await.insert(running.name.clone(), running);
        Ok(())
    }
}

/// What the taps in front of the broker have to know.
fn amqp_options(topology: &Topology, vhost: &str, injected: InjectedKeys) -> AmqpOptions {
    let record = topology
        .routes
        .values()
        .filter(|route| route.record)
        .filter_map(|route| {
            let exchange = topology.exchanges.get(&route.exchange)?;
            Some((exchange.name.to_string(), route.key.clone()))
        });
    AmqpOptions {
        vhost: Some(vhost.to_owned()),
        key_paths: topology.messages.key.clone(),
        retry_header: topology.messages.retry_header.clone(),
        record: record.collect::<BTreeSet<_>>(),
        injected,
    }
}
