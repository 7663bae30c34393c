//! Finding an image for every role, by the routes that the mode allows.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};

use super::recipe::Kind;
use super::{
    Flavor, ImageError, ImagePaths, ImageSpec, MissingImage, Mode, PACKAGE_LABEL, ROLE_LABEL, Recipe,
    Resolved, Route, Tried, debian, pipeline,
};
use crate::engine::{Engine, EngineError, LocalImage};
use crate::lock;
use crate::progress::{Progress, Step};

/// Longest wait for another process that builds the same image.
const OTHERS: Duration = Duration::from_mins(30);
/// Builds at the same time: each is one busy processor and, now and then, the network.
const BUILDS: usize = 2;

/// Finds an image for every role; what has to be pulled or built is pulled or built side by side.
///
/// # Errors
/// [`ImageError`] with every role that has none, and why.
pub async fn resolve_all(
    engine: &Engine,
    specs: &[ImageSpec],
    mode: Mode,
    paths: &ImagePaths,
    progress: &Progress,
) -> Result<Vec<Resolved>, ImageError> {
    let resolver = Resolver::new(engine, mode, paths, progress);
    let results = futures::future::join_all(specs.iter().map(|spec| resolver.resolve(spec))).await;
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for result in results {
        match result {
            Ok(resolved) => found.push(resolved),
            Err(none) => missing.push(none),
        }
    }
    if missing.is_empty() {
        Ok(found)
    } else {
        Err(ImageError { missing })
    }
}

/// What [`resolve_all`] would return, if it has nothing to pull or build; asks only the engine, a few milliseconds.
///
/// # Errors
/// What the engine says.
pub async fn all_present(
    engine: &Engine,
    specs: &[ImageSpec],
    mode: Mode,
) -> Result<Option<Vec<Resolved>>, EngineError> {
    let looks = specs
        .iter()
        .map(|spec| async move { look(engine, spec, mode, &mut Vec::new()).await });
    futures::future::try_join_all(looks)
        .await
        .map(|found| found.into_iter().collect())
}

struct Resolver<'a> {
    engine: &'a Engine,
    mode: Mode,
    paths: &'a ImagePaths,
    progress: &'a Progress,
    /// Registries that could not be reached, with the reason.
    unreachable: Mutex<BTreeMap<String, String>>,
    builds: Semaphore,
}

impl<'a> Resolver<'a> {
    fn new(engine: &'a Engine, mode: Mode, paths: &'a ImagePaths, progress: &'a Progress) -> Self {
        let builds = Semaphore::new(BUILDS);
        Self {
            engine,
            mode,
            paths,
            progress,
            unreachable: Mutex::default(),
            builds,
        }
    }

    async fn resolve(&self, spec: &ImageSpec) -> Result<Resolved, MissingImage> {
        let mut tried = Vec::new();
        match look(self.engine, spec, self.mode, &mut tried).await {
            Ok(Some(resolved)) => return Ok(resolved),
            Ok(None) => {}
            Err(error) => tried.push(Tried {
                route: "engine".to_owned(),
                why: error.to_string(),
            }),
        }
        let step = self.progress.step(&spec.role);
        let Some(resolved) = self.make(spec, &step, &mut tried).await else {
            step.failed("no image");
            return Err(MissingImage {
                role: spec.role.clone(),
                tried,
            });
        };
        step.done(if resolved.route == Route::Built {
            "built"
        } else {
            "pulled"
        });
        Ok(resolved)
    }

    /// Pulls or builds.
    async fn make(&self, spec: &ImageSpec, step: &Step, tried: &mut Vec<Tried>) -> Option<Resolved> {
        let references = [spec.chosen.as_deref(), upstream(spec, self.mode)];
        for reference in references.into_iter().flatten() {
            if self.mode == Mode::Local && spec.chosen.is_none() {
                continue;
            }
            let route = if spec.chosen.is_some() {
                Route::Override
            } else {
                Route::Registry
            };
            let pulled = self.pull(reference, step).await;
            match self.check(pulled, spec, reference, route).await {
                Ok(resolved) => return Some(resolved),
                Err(why) => tried.push(Tried {
                    route: format!("registry, {reference}"),
                    why,
                }),
            }
        }
        let recipe = recipe(spec, self.mode).filter(|_| self.mode != Mode::Local)?;
        let built = self.build(recipe, step).await;
        match self.check(built, spec, &recipe.tag, Route::Built).await {
            Ok(resolved) => Some(resolved),
            Err(why) => {
                tried.push(Tried {
                    route: format!("build, {}", recipe.tag),
                    why,
                });
                None
            }
        }
    }

    /// Makes sure that the engine has what was made just now.
    async fn check(
        &self,
        made: Result<(), String>,
        spec: &ImageSpec,
        reference: &str,
        route: Route,
    ) -> Result<Resolved, String> {
        made?;
        match self.engine.image(reference).await {
            Ok(Some(image)) => Ok(resolved(spec, reference, image, route)),
            Ok(None) => Err("the engine does not have it afterwards".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Pulls. The first pull has to reach its registry before the next one is tried, so that an unreachable registry is
    /// tried once only.
    async fn pull(&self, reference: &str, step: &Step) -> Result<(), String> {
        let registry = registry(reference);
        let mut waiting = Some(self.unreachable.lock().await);
        if let Some(why) = waiting.as_ref().and_then(|known| known.get(registry)) {
            return Err(why.clone());
        }
        step.message(format!("pulling {reference}"));
        let result = self.engine.pull(reference, |message| {
            drop(waiting.take());
            step.message(message.text);
        });
        match result.await {
            Ok(()) => Ok(()),
            Err(EngineError::Pull { cause, .. }) => {
                let why = cause.to_string();
                if let Some(known) = waiting.as_mut().filter(|_| is_unreachable(&why)) {
                    known.insert(registry.to_owned(), why.clone());
                }
                Err(why)
            }
            Err(other) => Err(other.to_string()),
        }
    }

    /// Builds, unless another process has done so meanwhile.
    async fn build(&self, recipe: &Recipe, step: &Step) -> Result<(), String> {
        let base = match &recipe.kind {
            Kind::Pipeline(pipeline) => {
                // Boxed, because a base is resolved as every other image.
                let base = Box::pin(self.resolve(&pipeline.base))
                    .await
                    .map_err(|none| none.to_string())?;
                Some(base.reference)
            }
            Kind::Debian(_) => None,
        };
        step.message("waiting for another build");
        // The lock before the turn: roles that share an image must not take turns only to wait for each other.
        let folder = self.paths.state.join("images");
        let _lock = lock::exclusive(folder.as_std_path(), recipe.name(), OTHERS).await?;
        if self
            .engine
            .image(&recipe.tag)
            .await
            .is_ok_and(|found| found.is_some())
        {
            return Ok(());
        }
        let _turn = self.builds.acquire().await.map_err(|error| error.to_string())?;
        match (&recipe.kind, base) {
            (Kind::Debian(debian), _) => {
                debian::build(self.engine, debian, &recipe.tag, self.paths, step).await
            }
            (Kind::Pipeline(pipeline), Some(base)) => {
                let workspace = &self.paths.workspace;
                pipeline::build(self.engine, pipeline, &base, &recipe.tag, workspace, step).await
            }
            (Kind::Pipeline(_), None) => Err("it has no base".to_owned()),
        }
    }
}

/// Looks in the engine only.
async fn look(
    engine: &Engine,
    spec: &ImageSpec,
    mode: Mode,
    tried: &mut Vec<Tried>,
) -> Result<Option<Resolved>, EngineError> {
    let built = recipe(spec, mode).map(|recipe| recipe.tag.as_str());
    let (references, route) = match &spec.chosen {
        Some(chosen) => ([Some(chosen.as_str()), None], Route::Override),
        None => ([upstream(spec, mode), built], Route::Local),
    };
    for reference in references.into_iter().flatten() {
        if let Some(image) = engine.image(reference).await? {
            return Ok(Some(resolved(spec, reference, image, route)));
        }
        tried.push(Tried {
            route: format!("engine, {reference}"),
            why: "it is not there".to_owned(),
        });
    }
    Ok(None)
}

/// The upstream image that a mode allows.
fn upstream(spec: &ImageSpec, mode: Mode) -> Option<&str> {
    let reference = spec.registry_ref.as_deref()?;
    (mode != Mode::Debian || spec.recipe.is_none()).then_some(reference)
}

/// The recipe that a mode allows.
fn recipe(spec: &ImageSpec, mode: Mode) -> Option<&Recipe> {
    let recipe = spec.recipe.as_ref()?;
    (mode != Mode::Registry || spec.registry_ref.is_none()).then_some(recipe)
}

fn resolved(spec: &ImageSpec, reference: &str, image: LocalImage, route: Route) -> Resolved {
    Resolved {
        role: spec.role.clone(),
        reference: reference.to_owned(),
        flavor: if image.labels.contains_key(ROLE_LABEL) {
            Flavor::Ours
        } else {
            Flavor::Upstream
        },
        versions: versions(&image),
        id: image.id,
        repo_digests: image.repo_digests,
        route,
    }
}

/// Versions as our own labels tell them, else as upstream images do, in variables such as `RABBITMQ_VERSION`.
fn versions(image: &LocalImage) -> BTreeMap<String, String> {
    let labels = image
        .labels
        .iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PACKAGE_LABEL)?, value.as_str())));
    let env = image.env.iter().filter_map(|variable| {
        let (name, value) = variable.split_once('=')?;
        Some((name.strip_suffix("_VERSION")?, value))
    });
    labels
        .chain(env)
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect()
}

/// The registry of a reference: what stands before the first slash, if it looks like a host; else the engine's default.
fn registry(reference: &str) -> &str {
    match reference.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "",
    }
}

/// Whether a failed pull says that the registry as a whole is out of reach, rather than that it lacks the image.
fn is_unreachable(why: &str) -> bool {
    let why = why.to_lowercase();
    [
        "no such host",
        "refused",
        "unreachable",
        "timeout",
        "timed out",
        "no answer",
        "server misbehaving",
        "tls",
        "eof",
    ]
    .iter()
    .any(|sign| why.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::{is_unreachable, recipe, registry, upstream, versions};
    use crate::engine::LocalImage;
    use crate::images::{ImagePaths, ImageSpec, Mode};
    use camino::Utf8Path;
    use std::collections::BTreeMap;

    fn paths() -> ImagePaths {
        let workspace = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        ImagePaths::new(workspace, "/nowhere")
    }

    /// Which of upstream image and recipe are considered: `u`, `r`.
    fn considered(spec: &ImageSpec, mode: Mode) -> String {
        let upstream = upstream(spec, mode).map(|_| "u").unwrap_or_default();
        format!(
            "{upstream}{}",
            recipe(spec, mode).map(|_| "r").unwrap_or_default()
        )
    }

    #[test]
    fn a_mode_decides_between_upstream_and_recipe() {
        let both = ImageSpec::new("broker", "rabbitmq:4.0-management", &paths()).unwrap();
        let built = ImageSpec::new("analyzer", "cleanapp-pipeline", &paths()).unwrap();
        let upstream = ImageSpec::new("migrate", "registry.test/migrate:1", &paths()).unwrap();
        let table = [&both, &built, &upstream].map(|spec| {
            [Mode::Auto, Mode::Registry, Mode::Debian, Mode::Local]
                .map(|mode| considered(spec, mode))
                .join(" ")
        });
        assert_eq!(table, ["ur u r ur", "r r r r", "u u u u"]);
    }

    #[test]
    fn a_registry_is_a_host_before_the_first_slash() {
        assert_eq!(registry("rabbitmq:4.0"), "");
        assert_eq!(registry("library/rabbitmq"), "");
        assert_eq!(registry("registry.test/rabbitmq"), "registry.test");
        assert_eq!(registry("localhost:5000/rabbitmq:4"), "localhost:5000");
    }

    #[test]
    fn an_unreachable_registry_is_not_a_missing_image() {
        assert!(is_unreachable(
            "Get \"https://r.test/v2/\": dial tcp: lookup r.test: no such host"
        ));
        assert!(is_unreachable(
            "net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
        ));
        assert!(!is_unreachable(
            "manifest for r.test/x:1 not found: manifest unknown"
        ));
        assert!(!is_unreachable(
            "pull access denied for x, repository does not exist"
        ));
    }

    #[test]
    fn versions_come_from_labels_or_from_the_environment() {
        let image = LocalImage {
            id: String::new(),
            repo_digests: Vec::new(),
            labels: BTreeMap::from([("harness.package.mariadb-server".to_owned(), "1:11.8".to_owned())]),
            env: vec!["MYSQL_VERSION=8.4.1".to_owned(), "PATH=/bin".to_owned()],
        };
        let expected = [("mariadb-server", "1:11.8"), ("mysql", "8.4.1")];
        assert_eq!(
            versions(&image),
            expected.map(|(a, b)| (a.to_owned(), b.to_owned())).into()
        );
    }
}
