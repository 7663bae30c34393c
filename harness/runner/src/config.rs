//! The one module that reads the process environment.
//!
//! Everything can be set by a variable, because a libtest binary started by nextest gets no flags of ours; the command
//! line's flags win over it. An unusable value is refused with the variable's name, never ignored.
//!
//! | variable | meaning |
//! |---|---|
//! | `HARNESS_TOPOLOGY` | topology file |
//! | `HARNESS_IMAGES` | comma-separated: `auto`, `registry`, `debian` or `local`, and any number of `ROLE=REF` |
//! | `HARNESS_SEED` | seed of the run; else it is drawn, or follows from nextest's run id |
//! | `HARNESS_JOBS` | trials at the same time (2) |
//! | `HARNESS_OUT` | folder of the run store |
//! | `HARNESS_LOG` | filter of the trials' logs, as in `info,harness_wire=trace` |
//! | `HARNESS_LINGER` | seconds that the pool of backends stays warm after a run (60) |
//! | `HARNESS_REPORT` | comma-separated: forms to write, as after `--report`: `junit=FILE`, `ctrf=FILE`, `github` |
//! | `HARNESS_QUARANTINE` | file with the scenarios in quarantine |
//! | `GITHUB_ACTIONS`, `GITHUB_STEP_SUMMARY` | foreign text is kept from driving the workflow; where a summary goes |
//! | `HARNESS_REQUIRE` | `engine`: without an engine tests fail instead of being ignored; `CI` has the same effect |
//! | `DOCKER_HOST` | the engine |

use std::collections::BTreeMap;
use std::ffi::OsString;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::perturbation::Perturbation;
use harness_model::seed::Seed;
use serde::{Deserialize, Serialize};

use crate::exit::Refusal;
use crate::report::forms::Form;

/// Where images come from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// What is in the engine, else a registry, else built from Debian packages.
    #[default]
    Auto,
    /// A registry only.
    Registry,
    /// Built from Debian packages only.
    Debian,
    /// What is in the engine only.
    Local,
}

/// What is tested: enough to run a stored trial again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnderTest {
    /// Topology file; absent means the kit's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Utf8PathBuf>,
    /// Where images come from.
    #[serde(default)]
    pub source: Source,
    /// Image references that replace the topology's, by role.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// Environment that services are given besides the topology's, by role: how a planted bug is switched on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, BTreeMap<String, String>>,
    /// Scripts that take the place of the topology's, by what they are for (`deploy`): how a planted bug in one is
    /// switched on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub scripts: BTreeMap<String, String>,
    /// The conditions that the trial runs under.
    #[serde(default, skip_serializing_if = "Perturbation::is_none")]
    pub perturbation: Perturbation,
}

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What is tested.
    pub under_test: UnderTest,
    /// Seed of the run, if it was given.
    pub seed: Option<Seed>,
    /// Trials at the same time.
    pub jobs: usize,
    /// Folder of the run store, if it was given.
    pub out: Option<Utf8PathBuf>,
    /// Filter of the trials' logs.
    pub log: String,
    /// Seconds that the pool of backends stays warm after a run, if it was given.
    pub linger: Option<u64>,
    /// Without an engine tests fail instead of being ignored.
    pub require_engine: bool,
    /// Address of the engine, if it was given.
    pub docker_host: Option<String>,
    /// nextest's id of the run that this process is a part of.
    pub nextest_run: Option<String>,
    /// nextest's number of the attempt, from 1.
    pub nextest_attempt: Option<u32>,
    /// nextest's number of the stress iteration.
    pub nextest_stress: Option<String>,
    /// Cargo's target folder, if it was given.
    pub target_dir: Option<Utf8PathBuf>,
    /// Forms in which the run is written for machines.
    pub reports: Vec<Form>,
    /// The file with the scenarios in quarantine, if it was given.
    pub quarantine: Option<Utf8PathBuf>,
    /// What is printed is read by a workflow of GitHub Actions.
    pub github_actions: bool,
    /// Where that workflow's step keeps its summary.
    pub step_summary: Option<Utf8PathBuf>,
}

/// What this process prints is read by a workflow of GitHub Actions. It is known also where settings cannot be used, and
/// what is then complained about is foreign text as well.
pub(crate) fn workflow_reads() -> bool {
    #[expect(clippy::disallowed_methods, reason = "this is the configuration module")]
    let value = std::env::var_os("GITHUB_ACTIONS");
    value.is_some_and(|value| value == "true")
}

impl Settings {
    /// The settings that the environment of this process makes.
    pub fn from_process() -> Result<Self, Refusal> {
        #[expect(clippy::disallowed_methods, reason = "this is the configuration module")]
        Self::from_vars(|name| std::env::var_os(name))
    }

    /// The settings that these variables make. An empty variable counts as absent.
    pub fn from_vars(var: impl Fn(&str) -> Option<OsString>) -> Result<Self, Refusal> {
        let text = |name: &str| {
            let value = var(name).filter(|value| !value.is_empty());
            value
                .map(OsString::into_string)
                .transpose()
                .map_err(|_| refused(name, "not UTF-8", "UTF-8 text"))
        };
        let require = text("HARNESS_REQUIRE")?;
        if let Some(other) = require.as_deref().filter(|&value| value != "engine") {
            return Err(refused("HARNESS_REQUIRE", other, "`engine`"));
        }
        let ci = text("CI")?.is_some_and(|value| value != "false" && value != "0");
        let mut under_test = UnderTest {
            topology: text("HARNESS_TOPOLOGY")?.map(Utf8PathBuf::from),
            ..UnderTest::default()
        };
        if let Some(images) = text("HARNESS_IMAGES")? {
            under_test.set_images(&images)?;
        }
        let number = "a whole number from 0 to 18446744073709551615";
        Ok(Self {
            under_test,
            seed: text("HARNESS_SEED")?
                .map(|value| value.parse().map_err(|_| refused("HARNESS_SEED", &value, number)))
                .transpose()?,
            jobs: text("HARNESS_JOBS")?.map_or(Ok(JOBS), |value| {
                jobs(&value).map_err(|expected| refused("HARNESS_JOBS", &value, &expected))
            })?,
            out: text("HARNESS_OUT")?.map(Utf8PathBuf::from),
            log: text("HARNESS_LOG")?.unwrap_or_else(|| "info".to_owned()),
            linger: text("HARNESS_LINGER")?
                .map(|value| {
                    value
                        .parse()
                        .map_err(|_| refused("HARNESS_LINGER", &value, "a number of seconds"))
                })
                .transpose()?,
            require_engine: ci || require.is_some(),
            docker_host: text("DOCKER_HOST")?,
            nextest_run: text("NEXTEST_RUN_ID")?,
            nextest_attempt: text("NEXTEST_ATTEMPT")?.and_then(|value| value.parse().ok()),
            nextest_stress: text("NEXTEST_STRESS_CURRENT")?,
            target_dir: text("CARGO_TARGET_DIR")?.map(Utf8PathBuf::from),
            reports: reports(text("HARNESS_REPORT")?.as_deref().unwrap_or_default())?,
            quarantine: text("HARNESS_QUARANTINE")?.map(Utf8PathBuf::from),
            github_actions: text("GITHUB_ACTIONS")?.is_some_and(|value| value == "true"),
            step_summary: text("GITHUB_STEP_SUMMARY")?.map(Utf8PathBuf::from),
        })
    }

    /// The seed of the run: as given; else, under nextest, the same in all processes of one iteration, so that
    /// attempts are comparable; else drawn from `entropy`.
    pub fn run_seed(&self, entropy: &str) -> Seed {
        self.seed
            .unwrap_or_else(|| match (&self.nextest_run, &self.nextest_stress) {
                (Some(run), Some(iteration)) => Seed(0).derive(&format!("{run}/{iteration}")),
                (Some(run), None) => Seed(0).derive(run),
                (None, _) => Seed(0).derive(entropy),
            })
    }

    /// The folder of the run store: as given, else `harness` in cargo's target folder. A test binary runs in the
    /// folder of its package, so the target folder is looked for beside the nearest `Cargo.lock`.
    pub fn out_dir(&self) -> Utf8PathBuf {
        if let Some(out) = &self.out {
            return out.clone();
        }
        let here = std::env::current_dir()
            .ok()
            .and_then(|dir| Utf8PathBuf::from_path_buf(dir).ok());
        let here = here.unwrap_or_else(|| Utf8PathBuf::from("."));
        let root = here
            .ancestors()
            .find(|dir| dir.join("Cargo.lock").is_file())
            .map(Utf8Path::to_owned);
        let target = self
            .target_dir
            .clone()
            .unwrap_or_else(|| root.unwrap_or(here).join("target"));
        target.join("harness")
    }
}

impl UnderTest {
    /// Takes over a list as in `HARNESS_IMAGES`.
    pub fn set_images(&mut self, list: &str) -> Result<(), Refusal> {
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            if let Ok((role, reference)) = image(item) {
                self.images.insert(role, reference);
            } else {
                self.source = clap::ValueEnum::from_str(item, false).map_err(|_| {
                    refused(
                        "HARNESS_IMAGES",
                        item,
                        "`auto`, `registry`, `debian`, `local` or ROLE=REF",
                    )
                })?;
            }
        }
        Ok(())
    }
}

/// Reads a list of forms.
fn reports(list: &str) -> Result<Vec<Form>, Refusal> {
    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    let read = |item: &str| {
        item.parse()
            .map_err(|expected: String| refused("HARNESS_REPORT", item, &expected))
    };
    items.map(read).collect()
}

/// Reads `ROLE=REF`.
pub(crate) fn image(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((role, reference)) if !role.is_empty() && !reference.is_empty() => {
            Ok((role.to_owned(), reference.to_owned()))
        }
        _ => Err("expected ROLE=REF, for example analyzer=example.org/analyzer:1".to_owned()),
    }
}

/// Trials at the same time, if nobody says otherwise: on two processors one of three waits for a boot or for rest.
const JOBS: usize = 3;

/// Reads a number of jobs.
pub(crate) fn jobs(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(jobs @ 1..=64) => Ok(jobs),
        _ => Err("a whole number from 1 to 64".to_owned()),
    }
}

fn refused(name: &str, value: &str, expected: &str) -> Refusal {
    Refusal::config(format!("{name}: `{value}` cannot be used; expected {expected}"))
}

#[cfg(test)]
mod tests {
    use super::{Settings, Source};
    use harness_model::seed::Seed;

    fn with(vars: &[(&str, &str)]) -> Result<Settings, String> {
        let find = |name: &str| {
            vars.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        };
        Settings::from_vars(find).map_err(|refusal| refusal.what)
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let settings = with(&[("HARNESS_SEED", "")]).unwrap();
        assert_eq!(
            (settings.jobs, settings.seed, settings.require_engine),
            (3, None, false)
        );
        assert_eq!(settings.under_test.source, Source::Auto);
    }

    #[test]
    fn images_take_a_source_and_overrides() {
        let settings = with(&[("HARNESS_IMAGES", "debian, tags=example.org/tags:2")]).unwrap();
        assert_eq!(settings.under_test.source, Source::Debian);
        assert_eq!(settings.under_test.images["tags"], "example.org/tags:2");
    }

    #[test]
    fn an_engine_is_required_by_ci_or_by_name() {
        assert!(with(&[("CI", "true")]).unwrap().require_engine);
        assert!(!with(&[("CI", "false")]).unwrap().require_engine);
        assert!(with(&[("HARNESS_REQUIRE", "engine")]).unwrap().require_engine);
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        let refusals = [
            (
                ("HARNESS_JOBS", "0"),
                "HARNESS_JOBS: `0` cannot be used; expected a whole number from 1 to 64",
            ),
            (
                ("HARNESS_SEED", "-1"),
                "HARNESS_SEED: `-1` cannot be used; expected a whole number from 0 to 18446744073709551615",
            ),
            (
                ("HARNESS_REQUIRE", "docker"),
                "HARNESS_REQUIRE: `docker` cannot be used; expected `engine`",
            ),
            (
                ("HARNESS_REPORT", "xunit=a.xml"),
                "HARNESS_REPORT: `xunit=a.xml` cannot be used; expected `junit=FILE`, `ctrf=FILE`, `summary=FILE`, \
                 `annotations=FILE` or `github`",
            ),
            (
                ("HARNESS_REPORT", "junit"),
                "HARNESS_REPORT: `junit` cannot be used; expected `junit=FILE`, `ctrf=FILE`, `summary=FILE`, \
                 `annotations=FILE` or `github`",
            ),
            (
                ("HARNESS_IMAGES", "podman"),
                "HARNESS_IMAGES: `podman` cannot be used; expected `auto`, `registry`, `debian`, `local` or ROLE=REF",
            ),
        ];
        for (var, expected) in refusals {
            assert_eq!(with(&[var]).unwrap_err(), expected);
        }
    }

    #[test]
    fn all_processes_of_a_nextest_run_share_a_seed_but_iterations_do_not() {
        let seed = |vars: &[(&str, &str)], entropy| with(vars).unwrap().run_seed(entropy);
        let run = ("NEXTEST_RUN_ID", "c0ffee");
        assert_eq!(seed(&[run], "a"), seed(&[run], "b"));
        assert_ne!(
            seed(&[run, ("NEXTEST_STRESS_CURRENT", "1")], "a"),
            seed(&[run], "a")
        );
        assert_ne!(seed(&[], "a"), seed(&[], "b"));
        assert_eq!(seed(&[run, ("HARNESS_SEED", "7")], "a"), Seed(7));
    }
}
