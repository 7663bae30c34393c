//! The libtest front end: scenarios as tests, for `cargo test` and nextest.
//!
//! What nextest asks for, and what is done here:
//! - `--list --format terse` prints `name: test` lines and nothing else, and again with `--ignored`. Listing touches no
//!   engine, no store and no file but what [`Kit::available`] looks at.
//! - `NAME --nocapture --exact` runs one test in a process of its own; exit code 0 or 101.
//! - Its JUnit message is the first line on stderr that begins with `Error: `: the diagnosis, in one paragraph. The
//!   whole scene follows.
//! - A test that is skipped at run time would be shown as passed. So it is decided at list time: without an engine all
//!   tests are marked ignored. Under `CI` or `HARNESS_REQUIRE=engine` they are not, and each of them fails.
//! - A failure that is held in quarantine is shown on stderr and does not fail its test.
//! - `HARNESS_REPORT` asks for more forms: each process writes them again, from all that the run has stored so far.
//! - SIGTERM (a timeout of nextest) and Ctrl-C end the trial as [`crate::trial`] says; the test fails.
//!
//! Flags of libtest that libtest-mimic does not know are taken out first (`--no-capture`, `--shuffle`,
//! `--shuffle-seed`, `--report-time`, `--ensure-time`), and more than one filter is allowed. Everything else is set by
//! the variables in [`crate::config`], since nextest passes no flags on. Nothing is captured: the harness' log of a
//! trial is in its folder.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use clap::Parser;
use harness_model::seed::Seed;
use harness_model::verdict::Kind;
use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use crate::cancel::Cancel;
use crate::cli::entropy;
use crate::config::{self, Settings};
use crate::environment::Environment;
use crate::exit::Refusal;
use crate::kit::Kit;
use crate::quarantine::{self, Ward};
use crate::report::forms::FormKind;
use crate::report::junit::message;
use crate::report::{Finished, guard, scene};
use crate::scenario::Scenario;
use crate::trial::{self, Limits, Shared};
use crate::{logging, store, stored};

/// The `main` of a test target with `harness = false`.
pub fn main<K: Kit>(kit: K) -> ExitCode {
    let (args, mut filters) = sort_out(std::env::args_os());
    let mut args = match Arguments::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // A closed stream is no reason to end otherwise.
            drop(error.print());
            return if error.use_stderr() {
                ExitCode::from(101)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let settings = match Settings::from_process() {
        Ok(settings) => settings,
        Err(refusal) => {
            complain(&refusal, config::workflow_reads());
            return ExitCode::from(101);
        }
    };
    let guarded = settings.github_actions;
    let ignored = !settings.require_engine && kit.available(&settings).is_err();
    args.test_threads.get_or_insert(settings.jobs);
    if filters.len() == 1 {
        args.filter = filters.pop();
    }

    let catalogue = kit.catalogue();
    let names: Vec<_> = catalogue.iter().map(|scenario| scenario.name).collect();
    let ward = match ward(&kit, &settings, &names) {
        Ok(ward) => ward,
        Err(refusal) => {
            complain(&refusal, guarded);
            return ExitCode::from(101);
        }
    };
    let front = Arc::new(Front {
        kit,
        settings,
        ward,
        cancel: Cancel::default(),
        session: OnceLock::new(),
    });
    let selected = |name: &str| {
        filters.is_empty()
            || filters.iter().any(|filter| {
                if args.exact {
                    name == filter
                } else {
                    name.contains(filter.as_str())
                }
            })
    };
    let tests = catalogue
        .iter()
        .filter(|scenario| selected(scenario.name))
        .map(|scenario| {
            let front = Arc::clone(&front);
            Trial::test(scenario.name, move || front.test(scenario)).with_ignored_flag(ignored)
        });
    let conclusion = libtest_mimic::run(&args, tests.collect());
    let written = Arc::into_inner(front).map_or(Ok(()), Front::end);
    match written {
        Ok(()) => conclusion.exit_code(),
        Err(refusal) => {
            complain(&refusal, guarded);
            ExitCode::from(101)
        }
    }
}

/// The quarantine of these scenarios, and that what is asked for can be written from here.
fn ward<K: Kit>(kit: &K, settings: &Settings, names: &[&str]) -> Result<Ward, Refusal> {
    let github = settings.reports.iter().any(|form| form.kind == FormKind::Github);
    if github && settings.nextest_run.is_some() {
        // No process knows whether it is the last one.
        let what = "HARNESS_REPORT: `github` cannot be written by one of the processes of nextest";
        return Err(Refusal::config(what).hint("run `harness export --report github` after nextest"));
    }
    Ward::read(kit.quarantine(settings).as_deref(), names, quarantine::today())
}

/// Splits the arguments into those that libtest-mimic understands and filters, of which it takes one only.
fn sort_out(args: impl IntoIterator<Item = OsString>) -> (Vec<OsString>, Vec<String>) {
    let (mut rest, mut filters) = (Vec::new(), Vec::new());
    let mut args = args.into_iter();
    rest.extend(args.next());
    while let Some(arg) = args.next() {
        match arg.to_str().unwrap_or_default() {
            "--no-capture" | "--shuffle" | "--report-time" | "--ensure-time" => {}
            "--shuffle-seed" => drop(args.next()),
            text if text.starts_with("--shuffle-seed=") => {}
            "--test-threads" | "--logfile" | "--skip" | "--color" | "--format" | "-Z" => {
                rest.push(arg);
                rest.extend(args.next());
            }
            "--" => filters.extend(args.by_ref().map(|filter| filter.to_string_lossy().into_owned())),
            text if text.starts_with('-') || text.is_empty() => rest.push(arg),
            filter => filters.push(filter.to_owned()),
        }
    }
    (rest, filters)
}

/// Writes to stderr what keeps a test from running; returns it as libtest-mimic prints it.
fn complain(refusal: &Refusal, guarded: bool) -> String {
    let hint = refusal
        .hint
        .as_ref()
        .map(|hint| format!("; {hint}"))
        .unwrap_or_default();
    told("Error: ", format!("{}{hint}", refusal.what), &[], guarded)
}

/// Writes a diagnosis, and what belongs to it, to stderr; returns the diagnosis, which libtest-mimic prints. One write
/// keeps what is told of trials that run at the same time apart.
fn told(word: &str, diagnosis: String, more: &[u8], guarded: bool) -> String {
    let mut text = format!("{word}{diagnosis}\n").into_bytes();
    text.extend(more);
    if guarded {
        text = guard::wrapped(&text);
    }
    // Where stderr is gone the exit code still says it.
    drop(io::stderr().write_all(&text));
    if guarded {
        guard::inside(&diagnosis)
    } else {
        diagnosis
    }
}

/// What the tests of this process share.
struct Front<K: Kit> {
    kit: K,
    settings: Settings,
    ward: Ward,
    cancel: Cancel,
    session: OnceLock<Result<Session<K::Environment>, Refusal>>,
}

/// What is brought up by the first test that runs.
struct Session<E> {
    runtime: Runtime,
    environment: E,
    run: store::Run,
    seed: Seed,
}

impl<K: Kit> Front<K> {
    fn session(&self) -> Result<Session<K::Environment>, Refusal> {
        let settings = &self.settings;
        logging::init(&settings.log)?;
        let run = store::Run::create(&settings.out_dir(), settings.nextest_run.as_deref(), store::KEPT)?;
        self.kit.available(settings).map_err(Refusal::engine)?;
        let failed = |error: io::Error| Refusal::config(format!("cannot start the runtime: {error}"));
        let runtime = Runtime::new().map_err(failed)?;
        self.cancel.on_signals(runtime.handle()).map_err(failed)?;
        let environment = runtime.block_on(async {
            tokio::select! {
                environment = self.kit.environment(settings) => environment,
                () = self.cancel.cancelled() => Err(Refusal::engine("interrupted")),
            }
        })?;
        let seed = settings.run_seed(&entropy());
        Ok(Session {
            runtime,
            environment,
            run,
            seed,
        })
    }

    fn test(&self, scenario: &Scenario<<K::Environment as Environment>::Cx>) -> Result<(), Failed> {
        let guarded = self.settings.github_actions;
        let session = match self.session.get_or_init(|| self.session()) {
            Ok(session) => session,
            Err(refusal) => return Err(complain(refusal, guarded).into()),
        };
        if self.cancel.is_cancelled() {
            return Err(complain(&Refusal::engine("interrupted before it began"), guarded).into());
        }
        let shared = Shared {
            environment: &session.environment,
            judge: self.kit.judge(),
            limits: Limits::default(),
            run: &session.run,
            under_test: &self.settings.under_test,
            ward: &self.ward,
            cancel: &self.cancel,
        };
        // Nobody watches the phases: the receiver is gone at once, and the sender does not mind.
        let (events, _) = mpsc::channel();
        let seed = session.seed.derive(scenario.name);
        let finished = session
            .runtime
            .block_on(trial::run(&shared, scenario, seed, &events));
        match (finished.counts_as(), finished.is_held()) {
            (Kind::Pass, false) => Ok(()),
            (Kind::Pass, true) => {
                explain("held: ", &finished, guarded);
                Ok(())
            }
            _ => Err(explain("Error: ", &finished, guarded).into()),
        }
    }

    /// Ends the environment inside the runtime, then the runtime: tasks that are still there belong to nobody any
    /// more.
    ///
    /// # Errors
    /// A form that was asked for cannot be written.
    fn end(self) -> Result<(), Refusal> {
        if let Some(Ok(Session {
            runtime,
            environment,
            run,
            ..
        })) = self.session.into_inner()
        {
            let context = runtime.enter();
            drop(environment);
            drop(context);
            runtime.shutdown_timeout(Duration::from_secs(1));
            if !self.settings.reports.is_empty() {
                // Processes of one nextest run write the same files one after the other, the last one all of it.
                stored::alone(&run.dir, || {
                    let told = stored::told(&self.kit, &self.ward, std::slice::from_ref(&run.dir), None)?;
                    let summary = self.settings.step_summary.as_deref();
                    told.write(&self.settings.reports, summary, &mut io::stderr())
                })?;
            }
        }
        Ok(())
    }
}

/// Tells of a trial: the diagnosis and the scene.
fn explain(word: &str, finished: &Finished, guarded: bool) -> String {
    let mut scene = Vec::new();
    // Writing to memory cannot fail.
    drop(scene::write(finished, &mut scene));
    told(word, message(finished), &scene, guarded)
}

#[cfg(test)]
mod tests {
    use super::sort_out;

    #[test]
    fn flags_that_libtest_mimic_does_not_know_are_taken_out() {
        let sorted = |args: &str| {
            let (rest, filters) = sort_out(args.split(' ').map(Into::into));
            (rest.join(" ".as_ref()).into_string().unwrap(), filters.join(" "))
        };
        assert_eq!(
            sorted("bin a --no-capture --shuffle-seed 3 b --format terse --skip x --exact"),
            ("bin --format terse --skip x --exact".to_owned(), "a b".to_owned())
        );
        assert_eq!(
            sorted("bin --list -Z unstable-options -- -c"),
            ("bin --list -Z unstable-options".into(), "-c".into())
        );
    }
}
