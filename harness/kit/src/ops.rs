//! The ops box as a scenario speaks of it: scripts run in it, and what they left is looked at.
//!
//! [`Cx::ops`] is there for a scenario with [`Setup::Box`] or [`Setup::Deployed`]. A script is the topology's own and runs
//! unmodified. Which processes it started, which files it wrote and what it changed on the engine stands in the ledger,
//! with `<secret:NAME>` in the place of each secret; what it said is one of the trial's logs, in the same way.
//!
//! [`deploy`] is about deploys, [`backup`] about backups. What is judged here is judged by [`harness_model::ops`]; a finding is a failure under its
//! rule.

pub mod backup;
pub mod deploy;
mod exposed;
pub(crate) mod site;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use harness_model::event::Step;
use harness_model::name::Name;
use harness_model::topology::Ops as Described;
use harness_model::topology::template;
use harness_model::verdict::Finding;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::ops::{BOX_LABEL, Script};

use self::site::Site;
use crate::cx::Cx;
use crate::world::{World, lock};

#[cfg(doc)]
use harness_model::topology::Setup;

/// Longest run of a script.
const SCRIPT: Duration = Duration::from_secs(80);

/// The ops box of a trial.
#[derive(Clone)]
pub struct Ops {
    pub(crate) world: Arc<World>,
    /// What the topology says, with somebody else's script in it where a scenario has asked for that.
    described: Option<Described>,
}

/// What a script left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Exit code.
    pub code: i64,
    /// All that it wrote, both streams.
    pub out: String,
}

/// Findings as an outcome: the first is the failure, the others are told with it.
pub(crate) fn judged(findings: Vec<Finding>) -> Outcome {
    let mut findings = findings.into_iter();
    let Some(first) = findings.next() else {
        return Ok(());
    };
    let mut what = first.what;
    for other in findings {
        what.push('\n');
        what.push_str(&other.what);
    }
    Err(Failure::fail(what).rule(first.rule))
}

impl Cx {
    /// The ops box.
    ///
    /// # Errors
    /// Invalid when the scenario has not asked for one.
    pub fn ops(&self) -> Result<Ops, Failure> {
        let ops = Ops::of(&self.world);
        ops.site().map(|_| ())?;
        Ok(ops)
    }
}

impl Ops {
    pub(crate) fn of(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
            described: world.topology.ops.clone(),
        }
    }
}

impl Ops {
    pub(crate) fn site(&self) -> Result<&Site, Failure> {
        self.world.ops.get().ok_or_else(|| {
            Failure::invalid("there is no ops box").hint("declare the scenario with `.setup(&[Setup::Box])`")
        })
    }

    /// What the topology says.
    pub(crate) fn described(&self) -> Result<&Described, Failure> {
        let described = self.described.as_ref();
        described.ok_or_else(|| Failure::invalid("the topology has no table `ops`"))
    }

    /// The text of a template of the topology's table `ops`.
    pub(crate) fn filled(&self, text: &str) -> Result<String, Failure> {
        template::fill(text, &self.site()?.values)
            .map_err(|error| Failure::invalid(format!("`{text}`: {error}")))
    }

    fn filled_env(&self, env: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Failure> {
        env.iter()
            .map(|(name, text)| Ok((name.clone(), self.filled(text)?)))
            .collect()
    }

    /// The variables that a script of the topology is given.
    pub(crate) fn env_of(&self, name: &str) -> Result<BTreeMap<String, String>, Failure> {
        let described = self.described()?;
        let mut env = self.filled_env(&described.env)?;
        if let Some(script) = described.script(name) {
            env.extend(self.filled_env(&script.env)?);
        }
        Ok(env)
    }

    /// Runs a script of the topology, with more arguments and variables than the topology gives it.
    pub(crate) async fn script(
        &self,
        name: &str,
        args: &[&str],
        env: &BTreeMap<String, String>,
    ) -> Result<Ran, Failure> {
        let script = self.described()?.script(name).ok_or_else(|| {
            Failure::invalid(format!("the topology has no script `{name}`"))
                .hint(format!("name one in its table `ops.{name}`"))
        })?;
        let mut command = vec![self.site()?.path(&script.script)?];
        for argument in &script.args {
            command.push(self.filled(argument)?);
        }
        command.extend(args.iter().map(|argument| (*argument).to_owned()));
        let mut all = self.env_of(name)?;
        all.extend(env.clone());
        self.recorded(name, command, all).await
    }

    /// As [`Ops::script`], without further arguments.
    ///
    /// # Errors
    /// Infra when the box or the engine does not do its part; invalid when the topology has no such script.
    pub async fn script_with(&self, name: &str, env: &BTreeMap<String, String>) -> Result<Ran, Failure> {
        self.script(name, &[], env).await
    }

    /// Runs a command as scripts are run: with a record.
    pub(crate) async fn recorded(
        &self,
        name: &str,
        command: Vec<String>,
        env: BTreeMap<String, String>,
    ) -> Result<Ran, Failure> {
        let site = self.site()?;
        let run = format!("{name}-{}", site.runs.fetch_add(1, Ordering::Relaxed) + 1);
        let world = &self.world;
        world.waiting_for(format!("the script {name}"));
        let told = |change: &str, exit| Step::Script {
            name: Name::new(name),
            change: change.to_owned(),
            exit,
        };
        lock(&site.latest).insert(name.to_owned(), run.clone());
        world.note(None, told("started", None));
        let script = Script {
            command,
            env,
            within: SCRIPT,
            run: run.clone(),
        };
        let ran = site.ops_box.run(&script).await.map_err(infra)?;
        let files = site.ops_box.digests(&ran.trace.written).await.map_err(infra)?;
        for process in &ran.trace.processes {
            let argv = process.argv.iter().map(|argument| site.redacted(argument));
            world.note(
                None,
                Step::Process {
                    argv: argv.collect(),
                    exit: process.exit,
                },
            );
        }
        for path in &ran.trace.written {
            let (sha256, bytes) = files.get(path).cloned().unzip();
            world.note(
                None,
                Step::File {
                    path: site.redacted(path),
                    sha256,
                    bytes: bytes.unwrap_or_default(),
                },
            );
        }
        world.note(None, told("ended", Some(ran.code)));
        let said = site.redacted(&ran.out);
        lock(&site.logs).insert(format!("ops-{run}"), said);
        Ok(Ran {
            code: ran.code,
            out: ran.out,
        })
    }

    /// Runs a few lines of shell, of the harness' own, in the home; without a record.
    pub(crate) async fn shell(&self, lines: &str) -> Result<Ran, Failure> {
        let env = self.filled_env(&self.described()?.env)?;
        self.lines(lines, &env).await
    }

    /// The same with these variables besides.
    pub(crate) async fn shell_with(&self, lines: &str, env: &[(&str, &str)]) -> Result<Ran, Failure> {
        let mut all = self.filled_env(&self.described()?.env)?;
        all.extend(
            env.iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        self.lines(lines, &all).await
    }

    async fn lines(&self, lines: &str, env: &BTreeMap<String, String>) -> Result<Ran, Failure> {
        let ran = self.site()?.ops_box.exec(&["bash", "-c", lines], env).await;
        let ran = ran.map_err(infra)?;
        Ok(Ran {
            code: ran.code,
            out: ran.stdout + &ran.stderr,
        })
    }

    /// The text of a file in the box; none if there is no such file. A relative path is below the home.
    pub(crate) async fn read(&self, path: &str) -> Result<Option<String>, Failure> {
        let ran = self
            .shell_with("test -e \"$FILE\" || exit 44; cat \"$FILE\"", &[("FILE", path)])
            .await?;
        match ran.code {
            0 => Ok(Some(ran.out)),
            44 => Ok(None),
            _ => Err(Failure::infra(format!("read {path} in the ops box: {}", ran.out))),
        }
    }

    /// Writes a file in the box, whose folder is made if it is not there.
    pub(crate) async fn write(&self, path: &str, text: &str) -> Outcome {
        let lines = "mkdir -p \"$(dirname \"$FILE\")\" && printf %s \"$TEXT\" >\"$FILE\"";
        let ran = self.shell_with(lines, &[("FILE", path), ("TEXT", text)]).await?;
        if ran.code == 0 {
            return Ok(());
        }
        Err(Failure::infra(format!(
            "write {path} in the ops box: {}",
            ran.out
        )))
    }

    /// Sends a signal to the script that was started last under this name.
    ///
    /// # Errors
    /// Infra when the box or the engine does not do its part; invalid when the topology has no such script.
    pub async fn signal(&self, name: &str, signal: &str) -> Outcome {
        let site = self.site()?;
        let run = lock(&site.latest).get(name).cloned();
        let run = run.ok_or_else(|| Failure::invalid(format!("the script {name} was not started")))?;
        site.ops_box.signal(&run, signal).await.map_err(infra)
    }

    /// Limits the box's memory.
    ///
    /// # Errors
    /// Infra when the box or the engine does not do its part; invalid when the topology has no such script.
    pub async fn limit(&self, bytes: i64) -> Outcome {
        let container = self.site()?.ops_box.container().to_owned();
        let limited = self.world.engine.limit(&container, Some(bytes), None).await;
        limited.map_err(infra)
    }

    /// What scripts have made on the engine and what is there still: `container NAME`, `network NAME`, `volume NAME`.
    ///
    /// # Errors
    /// Infra when the box or the engine does not do its part; invalid when the topology has no such script.
    pub async fn made_by_scripts(&self) -> Result<BTreeSet<String>, Failure> {
        let lease = lock(&self.world.grant).lease.clone();
        let made = self.world.engine.names_labelled(BOX_LABEL, &lease).await;
        made.map_err(infra)
    }
}

/// What the engine or the box did not do.
pub(crate) fn infra(error: impl std::fmt::Display) -> Failure {
    Failure::infra(format!("the ops box: {error}"))
}
