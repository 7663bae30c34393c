//! `harness check`: the files, endpoints and containers of a platform, read once and handed to the checks of the model.
//!
//! Nothing is changed, on this machine or elsewhere; what a drill restores is thrown away. What cannot be read is refused;
//! what can be read and is wrong, or does not answer, is a finding.

mod backup;
mod deploy;
mod drill;
mod ports;

use std::path::PathBuf;

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::ops::compose::Config;
use harness_model::ops::policy::Policy;
use harness_model::ops::running::{self, Running};
use harness_runner::check::{Check, Checked, ComposeFiles};
use harness_runner::config::Settings;
use harness_runner::exit::Refusal;
use harness_stack::compose::{Compose, ComposeError};
use harness_stack::engine::Engine;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Why containers were not looked at where there can be none.
const NO_ENGINE: &str = "there is no engine on this machine";
/// The role of the image that stands for the production machine.
const OPS: &str = "ops";

pub(super) async fn run(settings: &Settings, asked: &Check, now: Timestamp) -> Result<Vec<Checked>, Refusal> {
    match asked {
        Check::Deploy(asked) => deploy::run(settings, asked, now).await,
        Check::Backup(asked) => backup::run(settings, asked, now).await,
        Check::Ports(asked) => ports::run(settings, asked, now).await,
    }
}

/// The day on which exceptions have to hold.
fn day(now: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(now).date()
}

fn read(path: &Utf8Path) -> Result<String, Refusal> {
    std::fs::read_to_string(path).map_err(|error| Refusal::config(format!("read {path}: {error}")))
}

fn policy(path: Option<&Utf8Path>) -> Result<Policy, Refusal> {
    let Some(path) = path else {
        return Ok(Policy::default());
    };
    Policy::parse(path.as_str(), &read(path)?)
        .map_err(|error| Refusal::config(format!("{path}:\n{}", error.render(100, false))))
}

/// Compose, and what it is asked about.
struct Asked<'a> {
    compose: Compose,
    files: &'a ComposeFiles,
}

impl<'a> Asked<'a> {
    async fn new(settings: &Settings, files: &'a ComposeFiles) -> Result<Self, Refusal> {
        let compose = match &files.compose_image {
            Some(image) => Compose::Image {
                engine: super::connect().await?,
                image: image.clone(),
            },
            None => match Compose::local().await {
                Err(ComposeError::Missing) => of_ops_box(settings).await.map_err(|why| {
                    let missing = refused(ComposeError::Missing);
                    Refusal {
                        what: format!(
                            "{}; that of the ops box cannot be had: {}",
                            missing.what, why.what
                        ),
                        ..missing
                    }
                })?,
                compose => compose.map_err(refused)?,
            },
        };
        Ok(Self { compose, files })
    }

    /// The configuration without an override; these files have to be right.
    async fn base(&self) -> Result<Config, Refusal> {
        let names = self.names();
        let said = self.with(None).await?;
        said.map_err(|said| Refusal::config(format!("read {names}: Compose refuses it: {said}")))
    }

    /// The configuration with an override, or why Compose refuses it.
    async fn with(&self, over: Option<&Utf8Path>) -> Result<Result<Config, String>, Refusal> {
        let files = self.files.files.iter().map(Utf8PathBuf::as_path).chain(over);
        let files: Vec<_> = files.map(|file| PathBuf::from(file.as_std_path())).collect();
        let said = self
            .compose
            .config(self.files.project.as_deref(), &files)
            .await
            .map_err(refused)?;
        match said {
            Ok(json) => {
                let config = Config::parse(&self.names(), &json);
                config.map(Ok).map_err(|error| Refusal::config(error.to_string()))
            }
            Err(said) => Ok(Err(said)),
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.files.files.iter().map(|file| file.as_str()).collect();
        names.join(", ")
    }
}

/// That of the image that stands for the production machine.
async fn of_ops_box(settings: &Settings) -> Result<Compose, Refusal> {
    let stack = super::stack_with(settings, |role| role == OPS).await?;
    let image = stack
        .image(OPS)
        .map_err(|failure| Refusal::engine(failure.to_string()))?;
    Ok(Compose::Image {
        image: image.reference.clone(),
        engine: stack.engine,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` passes")]
fn refused(error: ComposeError) -> Refusal {
    let what = error.to_string();
    match error {
        ComposeError::Missing => Refusal::engine(what).hint(
            "install the package docker-compose-plugin, or name an image that has it with --compose-image",
        ),
        ComposeError::File { .. } | ComposeError::Run { .. } => Refusal::config(what),
        ComposeError::Engine(_) => Refusal::engine(what),
    }
}

/// Containers that are not known.
enum Unknown {
    /// There is no engine on this machine, so there are none.
    NoEngine,
    /// There is one, and it cannot be asked.
    Unasked(String),
}

/// The containers of a Compose project, or why they are not known.
async fn containers(project: &str) -> Result<Vec<Running>, Unknown> {
    let unasked = |error: &dyn std::fmt::Display| Unknown::Unasked(error.to_string());
    let engine = Engine::connect().await.map_err(|error| {
        if error.is_absent() {
            Unknown::NoEngine
        } else {
            unasked(&error)
        }
    })?;
    let label = format!("com.docker.compose.project={project}");
    let (containers, images) = engine.described(&label).await.map_err(|error| unasked(&error))?;
    running::inspected(&containers, &images).map_err(|error| unasked(&error))
}
