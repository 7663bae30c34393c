//! The running thing that one trial works on: lease, taps, services, and the harness' own clients.
//!
//! Everything here is `Send` and shared by an `Arc`, because a fault fires on its own task while the scenario's body
//! goes on. Nothing here judges.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use harness_model::event::{Backend, Step};
use harness_model::evidence::{Declared, Injected};
use harness_model::name::Name;
use harness_model::perturbation::Perturbation;
use harness_model::seed::Seed;
use harness_model::topology::Topology;
use harness_runner::environment::Failure;
use harness_runner::scenario::Needs;
use harness_stack::backend;
use harness_stack::client::{HARNESS, Messenger, Rows};
use harness_stack::engine::Engine;
use harness_stack::pool::{BackendInfo, Grant, Lease};
use harness_stack::service::Running;
use harness_stack::upstream::Upstream;
use harness_wire::in_flight::InjectedKeys;
use harness_wire::recorder::Recorder;
use harness_wire::tap::{Shaping, Tap};
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex as AsyncMutex, RwLock};

use crate::came_back;
use crate::fault::Armed;
use crate::ops::site::Site;
use crate::tracker::Tracker;

/// Which link a tap is on: the service (or [`HARNESS`]) and what it leads to.
pub(crate) type LinkId = (Name, Backend);

/// Somebody outside the pipeline, played by the harness.
pub(crate) struct Played {
    pub(crate) server: Upstream,
    /// The fault that makes it misbehave.
    pub(crate) fault: Arc<Mutex<Option<Name>>>,
}

/// The running thing.
pub(crate) struct World {
    pub(crate) engine: Engine,
    /// The topology file's, with what the scenario asks for besides.
    pub(crate) topology: Arc<Topology>,
    pub(crate) needs: Needs,
    /// The trial's.
    pub(crate) seed: Seed,
    pub(crate) recorder: Recorder,
    pub(crate) taps: BTreeMap<LinkId, Tap>,
    pub(crate) perturbation: Perturbation,
    /// Held to write while a service stands still as a condition of the trial, and to read by whoever injects or heals a
    /// fault.
    pub(crate) still: RwLock<()>,
    /// What makes links late all through the trial.
    pub(crate) late: Vec<Shaping>,
    /// By the names of their containers: the second instance of `tags` is `tags-2`.
    pub(crate) services: AsyncMutex<BTreeMap<Name, Running>>,
    pub(crate) upstreams: BTreeMap<Name, Played>,
    /// Backends that a fault has taken down.
    pub(crate) down: Mutex<BTreeSet<Backend>>,
    pub(crate) messenger: AsyncMutex<Messenger>,
    pub(crate) rows: AsyncMutex<Option<Rows>>,
    pub(crate) lease: AsyncMutex<Option<Lease>>,
    /// The grant as it was given, with the backends' present addresses.
    pub(crate) grant: Mutex<Grant>,
    pub(crate) injected_keys: InjectedKeys,
    pub(crate) log: Mutex<Log>,
    /// What the trial last waited for, for the message of a deadline.
    pub(crate) waiting: Mutex<String>,
    /// User, password and schema of the trial on both backends.
    pub(crate) password: String,
    /// The services are started by a deploy.
    pub(crate) deployed: bool,
    /// The ops box, where a scenario has asked for one.
    pub(crate) ops: tokio::sync::OnceCell<Site>,
}

/// What the trial has done so far.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) injected: Vec<Injected>,
    pub(crate) faults: Vec<Arc<Armed>>,
    pub(crate) source_before: BTreeMap<u64, String>,
    /// What the broker held before a service was started.
    pub(crate) declared_before: Option<Declared>,
    /// Logs of backends that are of interest.
    pub(crate) backend_logs: BTreeMap<String, String>,
    pub(crate) next_seq: u64,
    pub(crate) messages: u64,
    pub(crate) bodies: Sha256,
    /// Publishing that still goes on.
    pub(crate) publishing: usize,
    /// Why publishing failed, if it did.
    pub(crate) publish_error: Option<String>,
    pub(crate) tracker: Tracker,
}

impl Log {
    /// Notes the body of a message, so that a repetition can be compared byte by byte.
    pub(crate) fn note_body(&mut self, body: &[u8]) {
        self.messages += 1;
        self.bodies.update((body.len() as u64).to_le_bytes());
        self.bodies.update(body);
    }
}

/// Takes a lock that only ever guards plain data: a panic while it was held left nothing half done that matters.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// Notes what is being waited for.
    pub(crate) fn waiting_for(&self, what: impl Into<String>) {
        *lock(&self.waiting) = what.into();
    }

    /// Writes an event about a service, a backend or the harness itself.
    pub(crate) fn note(&self, svc: Option<&Name>, step: Step) -> u64 {
        self.recorder.log(svc, step)
    }

    /// A backend as it is now.
    pub(crate) fn backend(&self, which: Backend) -> BackendInfo {
        let grant = lock(&self.grant);
        match which {
            Backend::Broker => grant.broker.clone(),
            Backend::Database => grant.database.clone(),
        }
    }

    /// The taps in front of a backend.
    fn taps_to(&self, which: Backend) -> impl Iterator<Item = &Tap> {
        self.taps
            .iter()
            .filter(move |((_, to), _)| *to == which)
            .map(|(_, tap)| tap)
    }

    /// The tap of a service.
    pub(crate) fn tap(&self, service: &Name, which: Backend) -> Result<&Tap, Failure> {
        self.taps.get(&(service.clone(), which)).ok_or_else(|| {
            let known: Vec<_> = self.topology.services.keys().map(Name::as_str).collect();
            Failure::invalid(format!("no service is called {service}"))
                .hint(format!("there are {}", known.join(", ")))
        })
    }

    /// The role of a service, by its name or that of one of its instances.
    pub(crate) fn role_of(&self, name: &Name) -> Name {
        let numbered = name
            .rsplit_once('-')
            .filter(|(_, number)| number.parse::<u16>().is_ok());
        match numbered {
            Some((role, _)) if !self.topology.services.contains_key(name) => Name::new(role),
            _ => name.clone(),
        }
    }

    /// How many containers a service has.
    pub(crate) fn instances(&self, role: &Name) -> u16 {
        self.topology
            .services
            .get(role)
            .map_or(1, |service| service.instances)
    }

    /// A backend that a fault has taken down, if there is one.
    pub(crate) fn down(&self) -> Option<Backend> {
        lock(&self.down).first().copied()
    }

    /// From now on a dial of this backend is refused, at every tap.
    pub(crate) async fn close_doors(&self, which: Backend) {
        lock(&self.down).insert(which);
        for tap in self.taps_to(which) {
            tap.backend_down().await;
        }
    }

    /// Starts an ended backend again, waits until it is ready, and opens every tap in front of it.
    pub(crate) async fn start_backend(&self, which: Backend) -> Result<Duration, Failure> {
        let begin = tokio::time::Instant::now();
        let word = backend::word(which);
        self.waiting_for(format!("the {word} to start"));
        let mut info = self.backend(which);
        let network = lock(&self.grant).backends.clone();
        backend::start(&self.engine, which, &mut info, &network)
            .await
            .map_err(|error| Failure::infra(format!("start the {word} again: {error}")))?;
        let upstream = backend::address(which, info.ip);
        self.note(
            None,
            Step::Container {
                name: Name::new(word),
                change: "started".to_owned(),
                exit: None,
            },
        );
        {
            let mut grant = lock(&self.grant);
            match which {
                Backend::Broker => grant.broker = info,
                Backend::Database => grant.database = info,
            }
        }
        if which == Backend::Broker {
            came_back::mend(self).await?;
        }
        for tap in self.taps_to(which) {
            tap.backend_up(upstream)
                .await
                .map_err(|error| Failure::infra(format!("open a tap again: {error}")))?;
        }
        lock(&self.down).remove(&which);
        Ok(begin.elapsed())
    }

    /// The number of connections that services have open to a backend.
    pub(crate) fn connections(&self, which: Backend) -> usize {
        self.taps
            .iter()
            .filter(|((service, to), _)| *to == which && *service != HARNESS)
            .map(|(_, tap)| tap.connections())
            .sum()
    }

    /// Brings the tracker up to date and looks at it.
    pub(crate) fn tracked<T>(&self, look: impl FnOnce(&Log) -> T) -> T {
        let mut log = lock(&self.log);
        let from = log.tracker.seen();
        for event in self.recorder.since(from) {
            log.tracker.take(&event);
        }
        look(&log)
    }
}
