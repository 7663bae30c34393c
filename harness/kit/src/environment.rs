//! The real world for the runner: a lease from the pool, a pipeline of the trial's own in front of it, and at the end
//! what is left of it.

mod open;
mod played;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::event::{Backend, FaultChange, Step};
use harness_model::evidence::{Evidence, Plan};
use harness_model::fault::{Schedule, Workload as Injection};
use harness_model::ledger::Ledger;
use harness_model::topology::{Setup, Topology};
use harness_model::verdict::Kind;
use harness_runner::environment::{Collected, Environment, Failure};
use harness_runner::scenario::{Needs, Outcome};
use harness_runner::trial::Trial;
use harness_stack::admin::{BrokerAdmin, DatabaseAdmin};
use harness_stack::engine::Engine;
use harness_stack::images::{Flavor, Resolved};
use harness_stack::pool::{ImageRef, Lease, Mode, PairSpec, Paths};
use serde_json::json;
use sha2::Digest as _;

use crate::cx::Cx;
use crate::ops::Ops;
use crate::world::{World, lock};
use crate::{collect, fault, health, perturb, workload};

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

/// The folder that relative paths of a topology file mean.
pub(crate) fn folder(path: &Utf8Path) -> Utf8PathBuf {
    path.parent()
        .map_or_else(|| Utf8PathBuf::from("."), Utf8Path::to_owned)
}
