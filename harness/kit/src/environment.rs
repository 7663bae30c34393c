//! The real world for the runner: a lease from the pool, a pipeline of the trial's own in front of it, and at the end
//! what is left of it.

mod played;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::event::{Backend, FaultChange, Step};
use harness_model::evidence::{Evidence, Plan};
use harness_model::fault::{Schedule, Workload as Injection};
use harness_model::ledger::Ledger;
use harness_model::name::Name;
use harness_model::topology::{Service, Setup, Topology};
use harness_model::verdict::Kind;
use harness_runner::environment::{Collected, Environment, Failure};
use harness_runner::scenario::{Needs, Outcome};
use harness_runner::trial::Trial;
use harness_stack::admin::{BrokerAdmin, DatabaseAdmin};
use harness_stack::backend;
use harness_stack::client::{HARNESS, Messenger};
use harness_stack::engine::Engine;
use harness_stack::images::{Flavor, Resolved};
use harness_stack::pool::{Grant, ImageRef, Lease, Mode, PairSpec, Paths};
use harness_stack::service::{self, Instance, Links, Running, Site};
use harness_stack::{secret, wait};
use harness_wire::amqp::{self, AmqpOptions};
use harness_wire::clock::Clock;
use harness_wire::in_flight::{InFlight, InjectedKeys};
use harness_wire::mysql;
use harness_wire::recorder::Recorder;
use harness_wire::tap::{Tap, TapSpec};
use serde_json::json;
use sha2::Digest as _;
use tokio::sync::Mutex as AsyncMutex;

use self::played::played;
use crate::commands::step_role;
use crate::cx::Cx;
use crate::ops::Ops;
use crate::world::{LinkId, Log, World, lock};
use crate::{collect, fault, files, health, perturb, workload};

/// Longest time from a service's start to its first healthy answer.
const SERVICE_DEADLINE: Duration = Duration::from_secs(30);
/// Longest time for the pipeline to come to rest after the body.
const QUIESCE_DEADLINE: Duration = Duration::from_secs(50);
/// Longest time from the last healing to the canary's last effect: reconnects come after 1, 3, 7 and 15 s.
pub(crate) const RECOVERY_BUDGET: Duration = Duration::from_secs(30);

/// Longest time from the canary's last effect to healthy answers from every service.
const HEALTH_BUDGET: Duration = Duration::from_secs(20);

/// Pipelines of one topology on one engine.
#[derive(Debug)]
pub struct Stack {
    pub(crate) engine: Engine,
    pub(crate) topology: Arc<Topology>,
    /// Folder of the topology file, which its paths are relative to.
    pub(crate) folder: Utf8PathBuf,
    pub(crate) images: BTreeMap<String, Resolved>,
    pub(crate) paths: Paths,
    /// The engine's socket on this machine, if it is reached by one.
    pub(crate) engine_socket: Option<std::path::PathBuf>,
    /// What runs the pool: this program with arguments.
    pub(crate) pool_program: Vec<String>,
}

impl Stack {
    pub(crate) fn image(&self, role: &str) -> Result<&Resolved, Failure> {
        self.images
            .get(role)
            .ok_or_else(|| Failure::infra(format!("no image was resolved for {role}")))
    }

    /// The images of the backends.
    pub(crate) fn pair(&self) -> Result<PairSpec, Failure> {
        let of = |role: &str| {
            let image = self.image(role)?;
            Ok(ImageRef {
                reference: image.reference.clone(),
                ours: image.flavor == Flavor::Ours,
            })
        };
        Ok(PairSpec {
            broker: of("broker")?,
            database: of("database")?,
        })
    }

    /// Asks the pool for backends.
    pub(crate) async fn take(&self, mode: Mode, trial: &str) -> Result<Lease, Failure> {
        let pair = self.pair()?;
        let mut progress = |text: &str| tracing::info!("{text}");
        Lease::take(&self.paths, &self.pool_program, mode, &pair, trial, &mut progress)
            .await
            .map_err(|error| Failure::infra(format!("get a broker and a database: {error}")))
    }
}

impl Environment for Stack {
    type Cx = Cx;
    type Lease = Lease;

    async fn lease(&self, trial: &Trial) -> Result<Lease, Failure> {
        // In an engine that is stuck each trial would wait for a deadline of its own.
        let lists = self.engine.lists_networks().await;
        lists.map_err(|error| Failure::infra(error.to_string()).hint("restart the Docker engine"))?;
        let mode = match trial.needs {
            Needs::Shared => Mode::Shared,
            Needs::Exclusive => Mode::Exclusive,
        };
        self.take(mode, trial.scenario).await
    }

    async fn open(&self, trial: &Trial, lease: Lease) -> Result<Cx, Failure> {
        trial.phase("provision");
        let world = Arc::new(self.world(trial, lease).await?);
        let deployed = world.deployed;
        let boxed = async {
            if deployed || trial.setup.contains(&Setup::Box) {
                return Box::pin(self.start_box(&world)).await;
            }
            Ok(())
        };
        tokio::try_join!(self.provision(&world), boxed)?;
        if deployed {
            Ops::of(&world).prepare_deploys().await?;
        }
        trial.phase("ready");
        // Services that are deployed are started, and watched, when the body deploys them.
        if !deployed {
            self.start_services(&world).await?;
            health::watch(&world).await;
        }
        if !trial.perturbation.is_none() {
            let (conditions, late) = (&trial.perturbation, world.late.len());
            let text = format!("conditions: {conditions}; {late} links are late");
            world.note(None, Step::Note { text });
        }
        perturb::pause(&world);
        world.note(None, Step::Phase { name: "body".into() });
        Ok(Cx {
            world,
            trial: trial.clone(),
        })
    }

    fn last_seen(&self, cx: &Cx) -> String {
        lock(&cx.world.waiting).clone()
    }

    async fn heal(&self, cx: &mut Cx) -> Outcome {
        cx.world.note(None, Step::Phase { name: "heal".into() });
        fault::heal_all(&cx.world).await
    }

    async fn quiesce(&self, cx: &mut Cx) -> Outcome {
        cx.world.note(
            None,
            Step::Phase {
                name: "quiesce".into(),
            },
        );
        let keys: Vec<_> = lock(&cx.world.log)
            .injected
            .iter()
            .map(|injected| injected.key.clone())
            .collect();
        cx.pipeline().at_rest(&keys, QUIESCE_DEADLINE).await
    }

    async fn canary(&self, cx: &mut Cx) -> Outcome {
        let world = &cx.world;
        world.note(
            None,
            Step::Phase {
                name: "canary".into(),
            },
        );
        let pipeline = cx.pipeline();
        let begin = world.recorder.len();
        let reports = pipeline.send(workload::canary(), true).await?;
        // A canary that does not come through is for the invariants to judge: it leaves no `recovered` event.
        match pipeline.follow(&reports, RECOVERY_BUDGET).await {
            Ok(_) => {
                let ms = recovery_ms(world, begin);
                for key in reports.keys() {
                    world.note(None, Step::Recovered { key: key.clone(), ms });
                }
                if let Err(timed_out) = pipeline.healthy(HEALTH_BUDGET).await {
                    world.note(
                        None,
                        Step::Note {
                            text: timed_out.to_string(),
                        },
                    );
                }
                pipeline.at_rest(reports.keys(), QUIESCE_DEADLINE).await
            }
            Err(timed_out) => {
                world.note(
                    None,
                    Step::Note {
                        text: timed_out.to_string(),
                    },
                );
                Ok(())
            }
        }
    }

    async fn collect(&self, cx: &mut Cx) -> Result<Collected, Failure> {
        let world = &cx.world;
        world.note(
            None,
            Step::Phase {
                name: "collect".into(),
            },
        );
        let end = collect::end_state(world).await?;
        let mut logs = collect::logs(world).await;
        logs.extend(lock(&world.log).backend_logs.clone());
        if let Some(site) = world.ops.get() {
            logs.extend(lock(&site.logs).clone());
        }
        let facts = self.facts(world).await;
        if let Some(cause) = world.recorder.failure() {
            return Err(Failure::infra(format!("write the ledger: {cause}"))
                .hint("free some disk space, or name another folder with --out"));
        }
        let log = lock(&world.log);
        let faults: Vec<_> = log.faults.iter().map(|armed| armed.plan.clone()).collect();
        let sha256 = collect::hex(&log.bodies.clone().finalize());
        let schedule = Schedule {
            scenario: cx.trial.scenario.to_owned(),
            seed: cx.trial.seed,
            faults: faults.clone(),
            workload: Injection {
                messages: log.messages,
                sha256,
            },
        };
        let plan = Plan {
            scenario: cx.trial.scenario.to_owned(),
            topology: (*world.topology).clone(),
            must_see: cx.trial.must_see.iter().copied().collect(),
            faults,
            injected: log.injected.clone(),
            waived: cx
                .trial
                .waive
                .iter()
                .map(|(id, why)| ((*id).to_owned(), (*why).to_owned()))
                .collect(),
            recovery_budget_ms: RECOVERY_BUDGET.as_millis() as u64,
        };
        let ledger = Ledger::from_events(world.recorder.since(0));
        Ok(Collected {
            evidence: Evidence { plan, ledger, end },
            schedule,
            logs,
            facts,
        })
    }

    async fn close(&self, cx: Cx, so_far: Kind) -> Outcome {
        let Cx { world, .. } = cx;
        // Each of these is also undone by the pool when the lease ends; here it is only sooner.
        if let Some(site) = world.ops.get()
            && let Err(error) = site.ops_box.remove().await
        {
            tracing::warn!("{error}");
        }
        world.messenger.lock().await.close().await;
        let running = std::mem::take(&mut *world.services.lock().await);
        for service in running.into_values() {
            if let Err(error) = service.remove().await {
                tracing::warn!("{error}");
            }
        }
        let lease = world.lease.lock().await.take();
        if let Some(lease) = lease {
            let released = lease.release(so_far == Kind::Infra).await;
            released.map_err(|error| Failure::infra(format!("give the backends back: {error}")))?;
        }
        Ok(())
    }
}

/// Milliseconds from the last healing, or without faults from the canary's own injection, to now.
fn recovery_ms(world: &World, begin: u64) -> u64 {
    world.recorder.with(|events| {
        let healed = events.iter().rev().find(|event| {
            matches!(
                event.step,
                Step::Fault {
                    change: FaultChange::Healed { .. },
                    ..
                }
            )
        });
        let from = healed
            .or_else(|| events.get(begin as usize))
            .map_or(0, |event| event.at);
        events
            .last()
            .map_or(0, |last| last.at.saturating_sub(from) / 1_000_000)
    })
}

impl Stack {
    /// The trial's ledger and taps, with nothing behind them made yet.
    async fn world(&self, trial: &Trial, lease: Lease) -> Result<World, Failure> {
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
    async fn provision(&self, world: &World) -> Outcome {
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
    async fn start_services(&self, world: &World) -> Outcome {
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

    /// What ran: versions, images, engine.
    async fn facts(&self, world: &World) -> serde_json::Value {
        let (broker, database) = (world.backend(Backend::Broker), world.backend(Backend::Database));
        let version = BrokerAdmin::new(&broker)
            .version()
            .await
            .unwrap_or_else(|error| error.to_string());
        let database = async { DatabaseAdmin::connect(&database).await?.version().await };
        let database = database.await.unwrap_or_else(|error| error.to_string());
        let engine = self.engine.version().await.map_or_else(
            |error| json!(error.to_string()),
            |found| json!({"version": found.version, "api": found.api, "os": found.os, "arch": found.arch}),
        );
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        json!({
            "broker": version,
            "database": database,
            "engine": engine,
            "images": self.images,
            "kernel": kernel.trim(),
            "cores": std::thread::available_parallelism().map_or(0, usize::from),
        })
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

/// The folder that relative paths of a topology file mean.
pub(crate) fn folder(path: &Utf8Path) -> Utf8PathBuf {
    path.parent()
        .map_or_else(|| Utf8PathBuf::from("."), Utf8Path::to_owned)
}
