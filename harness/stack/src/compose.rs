//! Compose's own word on its files: `docker compose config`.
//!
//! Compose of this machine is asked, as the plugin or as the command of its own, if it is of version 2; where there is none,
//! that of an image, in a container that sees the files' folders read-only and no network, and is gone afterwards. Files are
//! only read. Nothing is known of their form here.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::engine::{Engine, EngineError, ExecOutput, Once};

/// A Compose that can be asked.
#[derive(Debug, Clone)]
pub enum Compose {
    /// A program of this machine, with its first arguments.
    Local(Vec<String>),
    /// An image.
    Image {
        /// The engine that has it.
        engine: Engine,
        /// Its reference.
        image: String,
    },
}

/// Compose cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// There is none.
    #[error(
        "find Docker Compose: neither `docker compose` nor a `docker-compose` of version 2 runs on this machine"
    )]
    Missing,
    /// The program does not start.
    #[error("run `{program}`: {cause}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        cause: std::io::Error,
    },
    /// A file is not where it should be.
    #[error("read {path}: {cause}")]
    File {
        /// The file.
        path: String,
        /// Why.
        cause: std::io::Error,
    },
    /// The engine does not do its part.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Compose {
    /// Compose of this machine.
    ///
    /// # Errors
    /// [`ComposeError::Missing`].
    pub async fn local() -> Result<Self, ComposeError> {
        for words in [&["docker", "compose"][..], &["docker-compose"]] {
            let version = Command::new(words[0])
                .args(&words[1..])
                .args(["version", "--short"])
                .kill_on_drop(true)
                .output()
                .await;
            if let Ok(output) = version
                && output.status.success()
                && is_modern(&String::from_utf8_lossy(&output.stdout))
            {
                return Ok(Self::Local(words.iter().map(|word| (*word).to_owned()).collect()));
            }
        }
        Err(ComposeError::Missing)
    }

    /// What Compose makes of these files, the later ones layered over the earlier ones, as JSON; or why it refuses them.
    /// Services of all profiles are in it: one that is not started now is deployed all the same.
    ///
    /// # Errors
    /// Compose cannot be asked.
    pub async fn config(
        &self,
        project: Option<&str>,
        files: &[PathBuf],
    ) -> Result<Result<String, String>, ComposeError> {
        let files = files
            .iter()
            .map(|file| absolute(file))
            .collect::<Result<Vec<_>, _>>()?;
        let args = arguments(project, &files);
        let said = match self {
            Self::Local(program) => run(program, &args).await?,
            Self::Image { engine, image } => {
                let once = Once {
                    image: image.clone(),
                    command: ["docker-compose".to_owned()].into_iter().chain(args).collect(),
                    read_only: folders(&files),
                };
                engine.run_once(&once).await?
            }
        };
        Ok(if said.code == 0 {
            Ok(said.stdout)
        } else {
            Err(said.stderr.trim().to_owned())
        })
    }
}

/// What Compose is given.
fn arguments(project: Option<&str>, files: &[PathBuf]) -> Vec<String> {
    let mut args = ["--profile", "*"].map(str::to_owned).to_vec();
    for file in files {
        args.extend(["-f".to_owned(), file.to_string_lossy().into_owned()]);
    }
    if let Some(project) = project {
        args.extend(["-p".to_owned(), project.to_owned()]);
    }
    args.extend(["config", "--format", "json"].map(str::to_owned));
    args
}

/// `2.26.1`, `v2.26.1`, `5.0.0`: those print JSON.
fn is_modern(version: &str) -> bool {
    let version = version.trim().trim_start_matches('v');
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major >= 2)
}

/// Where a file is, by what is written, not by where a link leads: paths in it are relative to that.
fn absolute(file: &Path) -> Result<PathBuf, ComposeError> {
    let failed = |cause| ComposeError::File {
        path: file.display().to_string(),
        cause,
    };
    std::fs::metadata(file).map_err(failed)?;
    std::path::absolute(file).map_err(failed)
}

/// The folders that have to be seen, those behind links included.
fn folders(files: &[PathBuf]) -> BTreeSet<PathBuf> {
    let real = files.iter().filter_map(|file| file.canonicalize().ok());
    let all = files.iter().cloned().chain(real);
    all.filter_map(|file| file.parent().map(Path::to_owned)).collect()
}

async fn run(program: &[String], args: &[String]) -> Result<ExecOutput, ComposeError> {
    let output = Command::new(&program[0])
        .args(&program[1..])
        .args(args)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|cause| ComposeError::Run {
            program: program.join(" "),
            cause,
        })?;
    Ok(ExecOutput {
        code: output.status.code().map_or(-1, i64::from),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::{arguments, is_modern};

    #[test]
    fn services_of_all_profiles_are_asked_for() {
        let given = arguments(Some("p"), &["/a.yml".into(), "/b.yml".into()]);
        let expected = "--profile * -f /a.yml -f /b.yml -p p config --format json";
        assert_eq!(given.join(" "), expected);
    }

    #[test]
    fn only_versions_that_print_json_are_asked() {
        for (version, modern) in [
            ("2.26.1-4\n", true),
            ("v2.40.3\n", true),
            ("5.0.0\n", true),
            ("1.29.2\n", false),
            ("", false),
            ("docker-compose version 1.29", false),
        ] {
            assert_eq!(is_modern(version), modern, "{version}");
        }
    }
}
