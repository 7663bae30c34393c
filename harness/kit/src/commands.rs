//! The kit as the front ends see it: the catalogue, the environment of a run, and the commands that need the world.

mod check;
mod doctor;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::grid::{Course, Point};
use harness_model::perturbation::Axis;
use harness_model::topology::Topology;
use harness_runner::check::{Check, Checked};
use harness_runner::config::{Settings, Source, UnderTest};
use harness_runner::exit::{Exit, Refusal};
use harness_runner::kit::{Commands, Kit};
use harness_runner::scenario::Scenario;
use harness_runner::trial::Judge;
use harness_stack::engine::{Engine, EngineError};
use harness_stack::images::{self, ImagePaths, ImageSpec, Mode, Resolved};
use harness_stack::pool::{self, Options, Paths};
use harness_stack::progress::Progress;
use jiff::Timestamp;

use crate::bench::Trials;
use crate::cx::Cx;
use crate::environment::{Stack, folder};
use crate::{files, grid, mutants, perturb, stand};

/// The topology that is tested when none is named.
const DEFAULT_TOPOLOGY: &str = "fixtures/topologies/ci.toml";
/// The catalogue's quarantine.
const QUARANTINE: &str = "scenarios/quarantine.toml";
/// How long the pool stays warm for the next run.
const LINGER: Duration = Duration::from_mins(1);
/// The hidden subcommand that a pool is started with.
pub(crate) const POOL_SERVER: &str = "pool-server";

/// The harness of a catalogue of scenarios.
#[derive(Debug, Clone, Copy)]
pub struct Harness {
    catalogue: &'static [Scenario<Cx>],
}

impl Harness {
    /// The harness of these scenarios.
    pub fn new(catalogue: &'static [Scenario<Cx>]) -> Self {
        Self { catalogue }
    }
}

impl Kit for Harness {
    type Environment = Stack;

    fn catalogue(&self) -> &'static [Scenario<Cx>] {
        self.catalogue
    }

    fn judge(&self) -> Judge {
        harness_model::invariant::judge
    }

    fn available(&self, settings: &Settings) -> Result<(), String> {
        match settings.docker_host.as_deref() {
            // Whether a remote engine answers cannot be told without talking to it.
            Some(host) if !host.starts_with("unix://") => Ok(()),
            Some(host) => socket(host.trim_start_matches("unix://")),
            None => socket("/var/run/docker.sock"),
        }
    }

    fn quarantine(&self, settings: &Settings) -> Option<Utf8PathBuf> {
        let own = || Some(files::root().join(QUARANTINE)).filter(|path| path.exists());
        settings.quarantine.clone().or_else(own)
    }

    async fn environment(&self, settings: &Settings) -> Result<Stack, Refusal> {
        stack_with(settings, |_| true).await
    }
}

/// A stack with the images of these roles.
async fn stack_with(settings: &Settings, wanted: impl Fn(&str) -> bool) -> Result<Stack, Refusal> {
    let (topology, folder) = read_topology(settings)?;
    let engine = connect().await?;
    let paths = state()?;
    // Whatever a killed pool has left goes first: it may hold the memory that is needed now. What is stuck is told in the
    // log and by `gc`.
    pool::reap(&engine, &paths)
        .await
        .map_err(|error| Refusal::engine(error.to_string()))?;
    let progress = Progress::to_stderr();
    let images = resolve(&engine, &topology, settings, &paths, &progress, wanted).await?;
    Ok(Stack {
        engine,
        topology: Arc::new(topology),
        folder,
        images,
        pool_program: pool_program(settings)?,
        engine_socket: engine_socket(settings),
        paths,
    })
}

impl Commands for Harness {
    fn axes(&self) -> &'static [Axis] {
        perturb::AXES
    }

    fn sources(&self) -> Utf8PathBuf {
        files::root().to_owned()
    }

    fn topology(&self, settings: &Settings) -> Result<Topology, Refusal> {
        Ok(read_topology(settings)?.0)
    }

    async fn environments(&self, settings: &Settings, variants: &[UnderTest]) -> Result<Vec<Stack>, Refusal> {
        let Stack {
            engine,
            topology: _,
            folder,
            images,
            pool_program,
            engine_socket,
            paths,
        } = self.environment(settings).await?;
        let stack = |under_test: &UnderTest| {
            let settings = Settings {
                under_test: under_test.clone(),
                ..settings.clone()
            };
            Ok(Stack {
                engine: engine.clone(),
                topology: Arc::new(read_topology(&settings)?.0),
                folder: folder.clone(),
                images: images.clone(),
                pool_program: pool_program.clone(),
                engine_socket: engine_socket.clone(),
                paths: paths.clone(),
            })
        };
        variants.iter().map(stack).collect()
    }

    fn bug_catalogues(&self) -> Result<Vec<Utf8PathBuf>, Refusal> {
        files::expand(&files::root().join(mutants::CATALOGUES)).map_err(Refusal::config)
    }

    fn baseline(&self) -> Scenario<Cx> {
        mutants::baseline()
    }

    fn survey(&self, course: Course) -> Scenario<Cx> {
        grid::survey(course)
    }

    fn point(&self, point: &Point) -> Scenario<Cx> {
        grid::point(point)
    }

    fn stand(&self) -> Scenario<Cx> {
        stand::scenario()
    }

    async fn images(&self, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Refusal> {
        let (topology, _) = read_topology(settings)?;
        let engine = connect().await?;
        let (paths, progress) = (state()?, Progress::to_stderr());
        let images = resolve(&engine, &topology, settings, &paths, &progress, |_| true).await?;
        let width = images.keys().map(String::len).max().unwrap_or_default();
        for (role, image) in &images {
            let versions: Vec<_> = image
                .versions
                .iter()
                .map(|(package, version)| format!("{package} {version}"))
                .collect();
            print(
                out,
                &format!(
                    "{role:width$}  {}  ({:?}) {}",
                    image.reference,
                    image.route,
                    versions.join(", ")
                ),
            )?;
        }
        Ok(Exit::Passed)
    }

    async fn doctor(&self, settings: &Settings, out: &mut dyn Write) -> Result<Exit, Refusal> {
        doctor::run(self, settings, out).await
    }

    async fn check(
        &self,
        settings: &Settings,
        asked: &Check,
        now: Timestamp,
    ) -> Result<Vec<Checked>, Refusal> {
        check::run(settings, asked, now).await
    }

    async fn gc(&self, _: &Settings, out: &mut dyn Write) -> Result<Exit, Refusal> {
        let engine = connect().await?;
        let paths = state()?;
        match pool::shut_down(&paths).await {
            Ok(None) => print(out, "no pool is running")?,
            Ok(Some(0)) => print(out, "the pool was idle and has ended")?,
            Ok(Some(held)) => print(out, &format!("a pool stays: {held} leases are held"))?,
            Err(error) => print(out, &format!("the pool does not answer: {error}"))?,
        }
        let reaped = pool::reap(&engine, &paths)
            .await
            .map_err(|error| Refusal::engine(error.to_string()))?;
        print(
            out,
            &format!(
                "of {} pools that were killed, {} containers and {} networks were removed",
                reaped.pools.len(),
                reaped.containers,
                reaped.networks
            ),
        )?;
        for network in &reaped.kept {
            let error = EngineError::KeptNetwork {
                network: network.clone(),
            };
            print(out, &format!("stays: {error}"))?;
        }
        if reaped.stuck.is_empty() {
            return Ok(Exit::Passed);
        }
        Err(Refusal::engine(format!(
            "not removed: {}",
            reaped.stuck.join("; ")
        )))
    }

    async fn bench(
        &self,
        settings: &Settings,
        names: &[String],
        runs: u32,
        out: &mut dyn Write,
    ) -> Result<Exit, Refusal> {
        let stack = self.environment(settings).await?;
        let trials = Trials {
            catalogue: self.catalogue,
            judge: self.judge(),
            jobs: settings.jobs,
        };
        crate::bench::run(&stack, &trials, names, runs, out).await
    }

    async fn pool_server(&self, _: &Settings, args: &[String]) -> Result<Exit, Refusal> {
        let seconds = args.first().and_then(|text| text.parse().ok());
        let linger = seconds.map_or(LINGER, Duration::from_secs);
        let options = Options {
            paths: state()?,
            linger,
        };
        pool::serve(options)
            .await
            .map_err(|error| Refusal::engine(error.to_string()))?;
        Ok(Exit::Passed)
    }
}

/// The engine's socket on this machine, if it is reached by one.
fn engine_socket(settings: &Settings) -> Option<std::path::PathBuf> {
    let host = settings
        .docker_host
        .as_deref()
        .unwrap_or("unix:///var/run/docker.sock");
    host.strip_prefix("unix://").map(Into::into)
}

fn socket(path: &str) -> Result<(), String> {
    if Path::new(path).exists() {
        Ok(())
    } else {
        Err(format!(
            "no engine: there is no {path}; start one or set DOCKER_HOST, `harness doctor` says more"
        ))
    }
}

/// Writes one line; a reader that has gone away is no error.
pub(crate) fn print(out: &mut dyn Write, line: &str) -> Result<(), Refusal> {
    match writeln!(out, "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Refusal::config(format!("write the output: {error}")))
        }
        _ => Ok(()),
    }
}

pub(crate) async fn connect() -> Result<Engine, Refusal> {
    Engine::connect().await.map_err(|error| {
        Refusal::engine(error.to_string()).hint("run `harness doctor` to see what is missing")
    })
}

pub(crate) fn state() -> Result<Paths, Refusal> {
    Paths::of_user().map_err(|error| Refusal::config(error.to_string()))
}

/// The topology, with the overrides of images and what services are given besides in it, and the folder that its paths
/// are relative to.
pub(crate) fn read_topology(settings: &Settings) -> Result<(Topology, Utf8PathBuf), Refusal> {
    let path = settings
        .under_test
        .topology
        .clone()
        .unwrap_or_else(|| files::root().join(DEFAULT_TOPOLOGY));
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Refusal::config(format!("{path}: {error}")).hint("name a file with --topology"))?;
    let mut topology = Topology::parse(path.as_str(), &text)
        .map_err(|error| Refusal::config(format!("{path}:\n{}", error.render(100, false))))?;
    for (role, reference) in &settings.under_test.images {
        topology
            .set_image(role, reference)
            .map_err(|error| Refusal::config(format!("--image {role}={reference}: {error}")))?;
    }
    for (role, env) in &settings.under_test.env {
        let Some(service) = topology.services.get_mut(role.as_str()) else {
            return Err(Refusal::config(format!(
                "{path} has no service {role} that could be given anything"
            )));
        };
        service.env.extend(env.clone());
    }
    for (name, file) in &settings.under_test.scripts {
        let changed = topology
            .ops
            .as_mut()
            .ok_or_else(|| format!("{path} has no table `ops`"))
            .and_then(|ops| ops.set_script(name, file));
        changed.map_err(|error| Refusal::config(format!("the script {name}: {error}")))?;
    }
    Ok((topology, folder(Utf8Path::new(&path))))
}

/// The image of every role that is wanted, resolved and in the engine. Services of the same reference share one resolution.
pub(crate) async fn resolve(
    engine: &Engine,
    topology: &Topology,
    settings: &Settings,
    paths: &Paths,
    progress: &Progress,
    wanted: impl Fn(&str) -> bool,
) -> Result<BTreeMap<String, Resolved>, Refusal> {
    let (mut specs, mut roles) = specs(topology, settings, paths)?;
    roles.retain(|role, _| wanted(role));
    specs.retain(|spec| roles.values().any(|role| *role == spec.role));
    let resolved = images::resolve_all(engine, &specs, mode(settings), &image_paths(paths), progress)
        .await
        .map_err(|error| Refusal::engine(error.to_string()))?;
    let by_spec: BTreeMap<_, _> = resolved
        .into_iter()
        .map(|image| (image.role.clone(), image))
        .collect();
    let images = roles
        .into_iter()
        .filter_map(|(role, spec)| Some((role, by_spec.get(&spec)?.clone())));
    Ok(images.collect())
}

pub(crate) fn mode(settings: &Settings) -> Mode {
    match settings.under_test.source {
        Source::Auto => Mode::Auto,
        Source::Registry => Mode::Registry,
        Source::Debian => Mode::Debian,
        Source::Local => Mode::Local,
    }
}

pub(crate) fn image_paths(paths: &Paths) -> ImagePaths {
    ImagePaths::new(files::root(), paths.dir().to_string_lossy().into_owned())
}

/// The role under which the image of a one-shot step is resolved.
pub(crate) fn step_role(name: &str) -> String {
    format!("step {name}")
}

/// What has to be resolved, and by role, which of them it takes.
pub(crate) fn specs(
    topology: &Topology,
    settings: &Settings,
    paths: &Paths,
) -> Result<(Vec<ImageSpec>, BTreeMap<String, String>), Refusal> {
    let image_paths = image_paths(paths);
    let overridden: BTreeSet<_> = settings.under_test.images.keys().map(String::as_str).collect();
    let mut specs: Vec<ImageSpec> = Vec::new();
    let mut by_reference = BTreeMap::new();
    let mut roles = BTreeMap::new();
    let backends = [
        ("broker", topology.broker.image.as_str()),
        ("database", topology.database.image.as_str()),
    ];
    let services = topology
        .services
        .iter()
        .map(|(role, service)| (role.as_str(), service.image.as_str()));
    let steps: Vec<_> = topology
        .steps
        .iter()
        .filter_map(|step| Some((step_role(&step.name), step.image.as_deref()?)))
        .collect();
    let steps = steps.iter().map(|(role, image)| (role.as_str(), *image));
    let ops = topology
        .ops
        .iter()
        .flat_map(|ops| [("ops", ops.image.as_str()), ("registry", ops.registry.as_str())]);
    for (role, reference) in backends.into_iter().chain(services).chain(steps).chain(ops) {
        let chosen = overridden.contains(role)
            || (overridden.contains("services") && topology.service(role).is_some());
        if let Some(first) = by_reference.get(reference) {
            roles.insert(role.to_owned(), String::clone(first));
            continue;
        }
        let spec = if chosen && reference != images::PIPELINE_IMAGE {
            ImageSpec::chosen(role, reference)
        } else {
            ImageSpec::new(role, reference, &image_paths)
                .map_err(|error| Refusal::config(error.to_string()))?
        };
        specs.push(spec);
        by_reference.insert(reference, role.to_owned());
        roles.insert(role.to_owned(), role.to_owned());
    }
    Ok((specs, roles))
}

/// What starts a pool: this very program, which is the `harness` command or a test binary; both know the subcommand.
fn pool_program(settings: &Settings) -> Result<Vec<String>, Refusal> {
    let program =
        std::env::current_exe().map_err(|error| Refusal::config(format!("find this program: {error}")))?;
    let linger = settings.linger.unwrap_or(LINGER.as_secs());
    Ok(vec![
        program.to_string_lossy().into_owned(),
        POOL_SERVER.to_owned(),
        linger.to_string(),
    ])
}
