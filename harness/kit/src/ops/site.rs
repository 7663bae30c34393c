//! The box of one trial, with what it knows: files, placeholders, secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::event::{Backend, Step};
use harness_model::name::Name;
use harness_model::ops::secrets::Secret;
use harness_model::topology::ops::{Deploy, set_values};
use harness_model::topology::template::{self, Address, Values};
use harness_runner::environment::Failure;
use harness_stack::backend;
use harness_stack::ops::door::Seen;
use harness_stack::ops::registry::{self, Filling};
use harness_stack::ops::{BoxSpec, OpsBox};
use harness_stack::pool::Grant;
use harness_stack::service;

use super::infra;
use crate::environment::Stack;
use crate::files;
use crate::world::{World, lock};

/// The box of one trial.
pub(crate) struct Site {
    pub(crate) ops_box: OpsBox,
    /// What the placeholders of the table `ops` mean.
    pub(crate) values: Values,
    /// How many scripts were run.
    pub(crate) runs: AtomicU64,
    /// How many releases were pushed.
    pub(crate) releases: AtomicU64,
    /// When the latest deploy that succeeded had begun.
    pub(crate) deployed: Mutex<Option<jiff::Timestamp>>,
    /// The services whose health is watched.
    pub(crate) watched: Mutex<BTreeSet<Name>>,
    /// The latest run of each script.
    pub(crate) latest: Mutex<BTreeMap<String, String>>,
    /// What scripts said, by run, without secrets.
    pub(crate) logs: Mutex<BTreeMap<String, String>>,
    /// Folder of the topology file.
    pub(crate) folder: Utf8PathBuf,
    /// The image of each service, as the engine knows it.
    pub(crate) images: BTreeMap<Name, String>,
    /// Labels of the lease.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) secrets: Vec<Secret>,
    /// The folder that is seen as `/ops`.
    files: Utf8PathBuf,
}

impl Site {
    /// Where a file that the topology names is in the box.
    pub(crate) fn path(&self, file: &str) -> Result<String, Failure> {
        let path = canonical(&self.folder.join(file))?;
        let below = path.strip_prefix(&self.files).map_err(|_| {
            Failure::invalid(format!("{path} is not below {}", self.files))
                .hint("`files` in the table `ops` names the folder that is seen in the box")
        })?;
        Ok(format!("/ops/{below}"))
    }

    /// The text with a mark in the place of every secret.
    pub(crate) fn redacted(&self, text: &str) -> String {
        let redact = |text: String, secret: &Secret| secret.redact(&text);
        self.secrets.iter().fold(text.to_owned(), redact)
    }
}

fn canonical(path: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    path.canonicalize_utf8()
        .map_err(|error| Failure::invalid(format!("{path}: {error}")))
}

impl Stack {
    /// Starts the box of a trial.
    pub(crate) async fn start_box(&self, world: &Arc<World>) -> Result<(), Failure> {
        let described = world
            .topology
            .ops
            .clone()
            .ok_or_else(|| Failure::invalid("the topology has no table `ops`"))?;
        let socket = self.engine_socket.as_deref().ok_or_else(|| {
            Failure::infra("the ops box reaches the engine by a Unix socket, and DOCKER_HOST names none")
        })?;
        let grant = lock(&world.grant).clone();
        let labels = service::labels(&grant, &self.paths.dir().display().to_string());
        let files = canonical(&self.folder.join(&described.files))?;
        let stand_ins = canonical(&files::root().join("fixtures/ops/bin"))?;
        let mut images = BTreeMap::new();
        for role in world.topology.services.keys() {
            images.insert(role.clone(), self.image(role)?.reference.clone());
        }
        let registry = match &described.deploy {
            Some(deploy) if world.deployed => {
                Some(self.filled_registry(&grant, &labels, deploy, &images).await?)
            }
            _ => None,
        };
        let spec = BoxSpec {
            engine: &self.engine,
            engine_socket: socket,
            image: &self.image("ops")?.reference,
            registry: registry.as_deref(),
            lease: &grant.lease,
            labels: &labels,
            state: self.paths.dir(),
            files: files.as_std_path(),
            stand_ins: Path::new(&stand_ins),
            home: &described.home,
        };
        let ledger = world.recorder.clone();
        let seen: Seen = Arc::new(move |call, status| {
            ledger.log(None, Step::Engine { call, status });
        });
        let ops_box = Box::pin(OpsBox::start(&spec, seen)).await.map_err(infra)?;
        let values = values(world, &described.home, &ops_box)?;

        let mut secret_values = vec![("database".to_owned(), world.password.clone())];
        for (name, text) in &described.secrets {
            let value = template::fill(text, &values)
                .map_err(|error| Failure::invalid(format!("ops.secrets.{name}: {error}")))?;
            let lines =
                "umask 077 && mkdir -p /run/ops/secrets && printf %s \"$VALUE\" >\"/run/ops/secrets/$NAME\"";
            let env = BTreeMap::from([
                ("VALUE".to_owned(), value.clone()),
                ("NAME".to_owned(), name.clone()),
            ]);
            let kept = ops_box.exec(&["bash", "-c", lines], &env).await.map_err(infra)?;
            if kept.code != 0 {
                return Err(infra(kept.stderr));
            }
            if value != world.password {
                secret_values.push((name.clone(), value));
            }
        }
        let secrets: Result<_, _> = secret_values
            .iter()
            .map(|(name, value)| Secret::new(name.as_str(), value.as_str()))
            .collect();
        let site = Site {
            ops_box,
            values,
            runs: AtomicU64::new(0),
            releases: AtomicU64::new(0),
            deployed: Mutex::default(),
            watched: Mutex::default(),
            latest: Mutex::default(),
            logs: Mutex::default(),
            folder: self.folder.clone(),
            images,
            labels,
            secrets: secrets.map_err(|error| Failure::invalid(error.to_string()))?,
            files,
        };
        world
            .ops
            .set(site)
            .map_err(|_| Failure::infra("a trial has one ops box"))
    }
}

impl Stack {
    /// The image of a registry that has the layers of the services' images.
    async fn filled_registry(
        &self,
        grant: &Grant,
        labels: &BTreeMap<String, String>,
        deploy: &Deploy,
        images: &BTreeMap<Name, String>,
    ) -> Result<String, Failure> {
        let mut by_image = BTreeMap::<&str, Vec<String>>::new();
        for (role, image) in images {
            // What is left of the name without the registry's address.
            let name = format!("{}{}", deploy.internal, deploy.service(role));
            let name = name.replacen("{ops.registry}/", "", 1);
            by_image.entry(image).or_default().push(name);
        }
        let filling = Filling {
            registry: &self.image("registry")?.reference,
            images: &by_image,
            state: self.paths.dir(),
            scratch: &format!("harness-{}-filling", grant.lease),
            labels,
        };
        Box::pin(registry::filled(&self.engine, &filling))
            .await
            .map_err(infra)
    }
}

/// What the placeholders mean in this trial.
fn values(world: &World, home: &str, ops_box: &OpsBox) -> Result<Values, Failure> {
    let lease = lock(&world.grant).lease.clone();
    let address = |which: Backend, name: &str| {
        let at = backend::address(which, world.backend(which).ip);
        Address {
            host: at.ip().to_string(),
            port: at.port(),
            user: lease.clone(),
            password: world.password.clone(),
            name: name.to_owned(),
        }
    };
    let mut values = Values::new(
        &world.topology,
        None,
        &address(Backend::Database, &lease),
        &address(Backend::Broker, &lease),
    );
    let mut known = BTreeMap::from([
        ("ops.project".to_owned(), format!("harness-{lease}")),
        ("ops.home".to_owned(), home.to_owned()),
        ("ops.registry".to_owned(), ops_box.registry().unwrap_or_default()),
        (
            "ops.database_image".to_owned(),
            lock(&world.grant).database.image.reference.clone(),
        ),
    ]);
    for role in world.topology.services.keys() {
        for (which, word) in [(Backend::Broker, "broker"), (Backend::Database, "database")] {
            let tap = world.tap(role, which)?.addr();
            known.insert(format!("link.{role}.{word}.host"), tap.ip().to_string());
            known.insert(format!("link.{role}.{word}.port"), tap.port().to_string());
            known.insert("ops.gateway".to_owned(), tap.ip().to_string());
        }
    }
    set_values(&world.topology, &mut values, |name| {
        known.get(name).cloned().unwrap_or_default()
    });
    Ok(values)
}
