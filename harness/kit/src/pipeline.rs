//! The pipeline as a scenario sees it: reports go in, and at some time it is at rest.

use std::sync::Arc;
use std::time::Duration;

use harness_model::event::Step;
use harness_model::evidence::Injected;
use harness_model::fault::Matcher;
use harness_model::name::{Key, Name};
use harness_model::seed::Seed;
use harness_runner::environment::Failure;
use harness_stack::admin::DatabaseAdmin;
use harness_stack::backend::Backend;
use harness_stack::client::{self, HARNESS, Outgoing};
use harness_stack::wait;

use crate::bars::Bars;
use crate::environment::RECOVERY_BUDGET;
use crate::fault::ask::{self, Condition};
use crate::workload::{self, Item, Rows, Workload};
use crate::world::{World, lock};
use crate::{canonical, collect, perturb};

/// Most unconfirmed publishes of the harness.
const WINDOW: usize = 64;
/// Longest outage of the broker that publishing sits out.
const PUBLISH_DEADLINE: Duration = Duration::from_mins(1);
/// Seconds since 1970 at which the first message of every trial says it was made (2026-01-01). A part of the workload,
/// so it is the same in every run.
const FIRST_TIMESTAMP: u64 = 1_767_225_600;
/// How long all readings must agree when the ledger knows of reports that no consumer has settled: a loss is about to
/// be reported, so it is worth a longer look.
const LONG_LOOK: Duration = Duration::from_secs(1);

/// The pipeline of a trial.
#[derive(Clone)]
pub struct Pipeline {
    pub(crate) world: Arc<World>,
    pub(crate) seed: Seed,
}

/// Reports that were injected together.
#[derive(Debug, Clone)]
pub struct Reports {
    keys: Vec<Key>,
    /// Those whose rows are still to be inserted.
    later: Vec<Item>,
    /// What their last attempts wait at until then.
    bars: Option<Arc<Bars>>,
}

impl Reports {
    /// Their keys, in the order of injection.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }
}

impl Pipeline {
    /// Inserts the reports' rows and **begins** to publish their messages, in order, with confirms. Publishing goes on
    /// in the background, also over an outage of the broker: a message whose confirm was lost is not sent again, and
    /// the rest follows when the broker is back. [`Pipeline::settled`] waits for its end.
    ///
    /// # Errors
    /// Infra when the rows cannot be inserted.
    pub async fn inject(&self, workload: Workload) -> Result<Reports, Failure> {
        self.send(workload, false).await
    }

    pub(crate) async fn send(&self, workload: Workload, canary: bool) -> Result<Reports, Failure> {
        let world = &self.world;
        let (first, turn) = {
            let log = lock(&world.log);
            (log.next_seq + 1, log.injected.len())
        };
        let mut items = workload::load(&workload, &world.topology, self.seed, turn, first)?;
        let order = world.perturbation.message_order;
        let order = order.map(|seed| seed.derive(&turn.to_string()));
        perturb::order(&mut items, order, |item| item.key.to_string());
        let route = world.topology.routes.get("raw");
        let exchange = route.and_then(|route| world.topology.exchanges.get(&route.exchange));
        let (Some(route), Some(exchange)) = (route, exchange) else {
            return Err(Failure::infra("the topology has no route with the role raw"));
        };
        let later = match workload.rows() {
            Rows::First => {
                self.insert_rows(&items).await?;
                Vec::new()
            }
            Rows::Later => items.clone(),
            Rows::Never => Vec::new(),
        };
        let bars = matches!(workload.rows(), Rows::Later)
            .then(|| Arc::new(Bars::close(&world.topology, &world.recorder)));

        let keys = items.iter().map(|item| item.key.clone()).collect();
        let mut messages = Vec::with_capacity(items.len());
        {
            let mut log = lock(&world.log);
            log.next_seq += items.iter().filter(|item| item.seq.is_some()).count() as u64;
            log.publishing += 1;
            for (item, nth) in items.into_iter().zip(first..) {
                world.injected_keys.insert(item.key.clone());
                let step = Step::Inject {
                    key: item.key.clone(),
                    report: item.name.clone(),
                };
                world.note(Some(&Name::new(HARNESS)), step);
                log.injected.push(Injected {
                    key: item.key.clone(),
                    seq: item.seq,
                    name: item.name,
                    times: item.times,
                    expect: item.expect,
                    canary,
                });
                for _ in 0..item.times {
                    log.note_body(&item.body);
                    messages.push(Outgoing {
                        exchange: exchange.name.to_string(),
                        routing_key: route.key.clone(),
                        message_id: item.key.to_string(),
                        content_type: item.content_type.to_owned(),
                        body: item.body.clone(),
                        timestamp: FIRST_TIMESTAMP + nth,
                    });
                }
            }
        }
        let world = Arc::clone(world);
        tokio::spawn(async move {
            let sent = world
                .messenger
                .lock()
                .await
                .publish(&messages, WINDOW, PUBLISH_DEADLINE)
                .await;
            let mut log = lock(&world.log);
            log.publishing -= 1;
            if let Err(error) = sent {
                log.publish_error = Some(error.to_string());
            }
        });
        Ok(Reports { keys, later, bars })
    }

    /// Inserts the rows of reports whose messages went ahead of them. Their last attempts wait until then, so that no
    /// report is given up for want of a row.
    ///
    /// # Errors
    /// Infra when the database does not take them.
    pub async fn add_rows(&self, reports: &Reports) -> Result<(), Failure> {
        self.insert_rows(&reports.later).await?;
        if let Some(bars) = &reports.bars {
            bars.open();
        }
        Ok(())
    }

    /// Waits until a condition has come true, counted from now, and gives the number of the event.
    ///
    /// # Errors
    /// Hang when it does not `within` the time, with how often it has been seen; invalid when it names what is not there.
    pub async fn until(&self, condition: Condition, within: Duration) -> Result<u64, Failure> {
        let world = &self.world;
        let trigger = ask::condition(world, condition, self.seed.derive("until"))?;
        world.waiting_for(trigger.to_string());
        let mut matcher = Matcher::new(trigger);
        let mut next = world.recorder.len();
        world
            .recorder
            .with(|events| matcher.remember(events.iter().take_while(|event| event.n <= next)));
        let come = async {
            loop {
                for event in world.recorder.since(next) {
                    next = event.n;
                    if matcher.see(&event).fires {
                        return event.n;
                    }
                }
                world.recorder.past(next).await;
            }
        };
        let come = tokio::time::timeout(within, come).await;
        come.map_err(|_| {
            Failure::hang(format!(
                "waited {:.1} s for {}; {} seen so far",
                within.as_secs_f64(),
                matcher.trigger(),
                matcher.count()
            ))
        })
    }

    async fn insert_rows(&self, items: &[Item]) -> Result<(), Failure> {
        let world = &self.world;
        let failed =
            |error: &dyn std::fmt::Display| Failure::infra(format!("insert the reports' rows: {error}"));
        let (rows, images): (Vec<_>, Vec<_>) = items
            .iter()
            .filter_map(|item| {
                let loaded = item.loaded.as_ref()?;
                Some((workload::fields(&loaded.report, item.seq?), loaded.image.clone()))
            })
            .unzip();
        if rows.is_empty() {
            return Ok(());
        }
        let mut guard = world.rows.lock().await;
        // Opened for each workload: the one of an earlier workload may have died with the database since.
        if let Some(old) = guard.take() {
            old.close().await;
        }
        let schema = lock(&world.grant).lease.clone();
        let addr = world.tap(&Name::new(HARNESS), Backend::Database)?.addr();
        let mut connection = client::Rows::connect(addr, &schema, &world.password, &schema)
            .await
            .map_err(|error| failed(&error))?;
        connection
            .insert(&world.topology.inject, &rows, &images)
            .await
            .map_err(|error| failed(&error))?;
        *guard = Some(connection);
        drop(guard);

        let mut admin = DatabaseAdmin::connect(&world.backend(Backend::Database))
            .await
            .map_err(|error| failed(&error))?;
        admin
            .select_schema(&schema)
            .await
            .map_err(|error| failed(&error))?;
        let source = &world.topology.effects.source;
        let found = admin
            .rows(&source.table, &[&source.key])
            .await
            .map_err(|error| failed(&error))?;
        let mut log = lock(&world.log);
        for row in found {
            if let Some(seq) = collect::seq(&row, &source.key) {
                log.source_before
                    .entry(seq)
                    .or_insert_with(|| collect::fingerprint(&row));
            }
        }
        Ok(())
    }

    /// Waits until the pipeline is at rest: all of `reports` are published, every work and retry queue is empty by the
    /// broker's own count, nothing is unacknowledged by the ledger's, and neither changes between readings. Whether
    /// each report then has its effects is for the invariants to say, not for this wait.
    ///
    /// # Errors
    /// Hang when it does not come to rest `within` the time, or when nothing has moved for longer than a service may take to
    /// recover; with what was seen last.
    pub async fn settled(&self, reports: &Reports, within: Duration) -> Result<(), Failure> {
        self.at_rest(reports.keys(), within).await
    }

    pub(crate) async fn at_rest(&self, keys: &[Key], within: Duration) -> Result<(), Failure> {
        let world = &self.world;
        world.waiting_for("the pipeline to come to rest");
        let last = std::cell::Cell::new(None::<(u64, tokio::time::Instant, u32)>);
        let patience = self.patience();
        let rest = wait::until("the pipeline to come to rest", within, || async {
            let (moves, open) = world.tracked(|log| (log.tracker.moves(), self.unsettled(log, keys)));
            if let Some(reason) = self.moving().await {
                last.set(None);
                let still = world.tracked(|log| log.tracker.still_since());
                let still =
                    still.map(|since| Duration::from_nanos(world.recorder.now().saturating_sub(since)));
                if let Some(still) = still.filter(|still| *still > patience) {
                    let seconds = still.as_secs_f64();
                    return Ok(Err(Failure::hang(format!(
                        "no message has moved for {seconds:.1} s, though {reason}"
                    ))));
                }
                world.waiting_for(format!("the pipeline to come to rest; {reason}"));
                return Err(reason);
            }
            let now = tokio::time::Instant::now();
            let (since, agreed) = match last.get() {
                Some((before, since, agreed)) if before == moves => (since, agreed + 1),
                _ => (now, 0),
            };
            last.set(Some((moves, since, agreed)));
            match open.first() {
                None if agreed >= 2 => Ok(Ok(())),
                Some(_) if agreed >= 2 && now - since >= LONG_LOOK => Ok(Ok(())),
                None => Err("empty, but seen only once".to_owned()),
                Some(first) => Err(format!(
                    "empty, though {} reports are not settled: {first} ..",
                    open.len()
                )),
            }
        })
        .await;
        rest.unwrap_or_else(|timed_out| Err(Failure::hang(timed_out.to_string())))
    }

    /// How long no message may move before waiting on is of no use: a service may take its budget to recover, and a retry
    /// its time in the queue.
    fn patience(&self) -> Duration {
        let queues = self.world.topology.queues.values();
        let ttl = queues
            .filter_map(|queue| Some(queue.retry.as_ref()?.ttl_ms))
            .max();
        RECOVERY_BUDGET + Duration::from_millis(ttl.unwrap_or_default())
    }

    /// Why the pipeline is not at rest by one reading, if it is not.
    async fn moving(&self) -> Option<String> {
        let world = &self.world;
        let (publishing, error, unacked) =
            world.tracked(|log| (log.publishing, log.publish_error.clone(), log.tracker.unacked()));
        if let Some(error) = error {
            return Some(format!("publishing failed: {error}"));
        }
        if publishing > 0 {
            return Some("reports are still being published".to_owned());
        }
        if let Some((queue, key)) = unacked.first() {
            let key = key
                .as_ref()
                .map_or("a message".to_owned(), |key| format!("report {key}"));
            return Some(format!(
                "{} unacknowledged, the first is {key} of {queue}",
                unacked.len()
            ));
        }
        let mut messenger = world.messenger.lock().await;
        for queue in world.topology.queues.values().filter(|queue| !queue.sink) {
            for name in std::iter::once(&queue.name).chain(queue.retry.as_ref().map(|retry| &retry.queue)) {
                match messenger.depth(name).await {
                    Ok(depth) if depth.ready == 0 => {}
                    Ok(depth) => return Some(format!("{} ready in {name}", depth.ready)),
                    Err(error) => return Some(format!("{name} cannot be read: {error}")),
                }
            }
        }
        None
    }

    /// Keys that some consumer of their queues has not settled yet, as far as the ledger tells.
    fn unsettled(&self, log: &crate::world::Log, keys: &[Key]) -> Vec<Key> {
        let topology = &self.world.topology;
        let open = |route: &str, key: &Key| {
            topology
                .queues
                .iter()
                .filter(|(role, queue)| {
                    queue.bind.iter().any(|bound| *bound == route) && topology.consumer_of(role).is_some()
                })
                .any(|(_, queue)| !log.tracker.is_settled(&queue.name, key))
        };
        let event = topology.event.as_ref().map(|event| event.route.as_str());
        keys.iter()
            .filter(|key| {
                open("raw", key) || event.is_some_and(|route| self.has_event(log, key) && open(route, key))
            })
            .cloned()
            .collect()
    }

    /// Whether the event that a report ends in has been published.
    fn has_event(&self, log: &crate::world::Log, key: &Key) -> bool {
        let topology = &self.world.topology;
        let route = topology
            .event
            .as_ref()
            .and_then(|event| topology.routes.get(&event.route));
        let exchange = route.and_then(|route| topology.exchanges.get(&route.exchange));
        let (Some(route), Some(exchange)) = (route, exchange) else {
            return false;
        };
        log.tracker
            .is_published(&(exchange.name.to_string(), route.key.clone()), key)
    }

    /// What is left, in the form that goldens show: roles instead of names, and without columns that differ from run to
    /// run.
    ///
    /// # Errors
    /// Infra when something cannot be read.
    pub async fn end_state(&self) -> Result<serde_json::Value, Failure> {
        let end = collect::end_state(&self.world).await?;
        Ok(canonical::end_state(&end, &self.world.topology))
    }

    /// What the ledger says of these reports, service by service, in the form that goldens show: without numbers that
    /// differ from run to run, and with roles instead of names.
    pub fn ledger_of(&self, reports: &Reports) -> serde_json::Value {
        canonical::ledger(&self.world, reports.keys())
    }

    /// Waits until every service says that it is healthy. One that works again may still say otherwise for a while: its
    /// health speaks of its publisher as well, which reconnects in its own time.
    pub(crate) async fn healthy(&self, within: Duration) -> Result<(), wait::TimedOut> {
        wait::until("every service to be healthy", within, || async {
            let services = self.world.services.lock().await;
            for (role, running) in services.iter() {
                running
                    .health()
                    .await
                    .verdict
                    .map_err(|cause| format!("{role}: {cause}"))?;
            }
            Ok(())
        })
        .await
    }

    /// Waits for and records the whole way of one more report; see [`crate::environment`].
    pub(crate) async fn follow(&self, reports: &Reports, within: Duration) -> Result<u64, wait::TimedOut> {
        let world = &self.world;
        wait::until("the canary to come through", within, || async {
            let (open, published) = world.tracked(|log| {
                let published = reports.keys().iter().all(|key| self.has_event(log, key));
                (
                    self.unsettled(log, reports.keys()),
                    published || world.topology.event.is_none(),
                )
            });
            match (open.first(), published) {
                (Some(key), _) => Err(format!("report {key} is on its way")),
                (None, false) => Err("its event is not published".to_owned()),
                (None, true) => Ok(world.recorder.len()),
            }
        })
        .await
    }
}
