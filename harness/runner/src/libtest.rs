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
use crate::config::Settings;
use crate::environment::Environment;
use crate::exit::Refusal;
use crate::kit::Kit;
use crate::report::{Finished, scene};
use crate::scenario::Scenario;
use crate::trial::{self, Limits, Shared};
use crate::{logging, store};

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
            complain(&refusal);
            return ExitCode::from(101);
        }
    };
    let ignored = !settings.require_engine && kit.available(&settings).is_err();
    args.test_threads.get_or_insert(settings.jobs);
    if filters.len() == 1 {
        args.filter = filters.pop();
    }

    let catalogue = kit.catalogue();
    let front = Arc::new(Front {
        kit,
        settings,
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
    if let Some(front) = Arc::into_inner(front) {
        front.end();
    }
    conclusion.exit_code()
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

fn complain(refusal: &Refusal) -> String {
    let hint = refusal
        .hint
        .as_ref()
        .map(|hint| format!("; {hint}"))
        .unwrap_or_default();
    let text = format!("{}{hint}", refusal.what);
    drop(writeln!(io::stderr(), "Error: {text}"));
    text
}

/// What the tests of this process share.
struct Front<K: Kit> {
    kit: K,
    settings: Settings,
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
        let session = match self.session.get_or_init(|| self.session()) {
            Ok(session) => session,
            Err(refusal) => return Err(complain(refusal).into()),
        };
        if self.cancel.is_cancelled() {
            return Err(complain(&Refusal::engine("interrupted before it began")).into());
        }
        let shared = Shared {
            environment: &session.environment,
            judge: self.kit.judge(),
            limits: Limits::default(),
            run: &session.run,
            under_test: &self.settings.under_test,
            cancel: &self.cancel,
        };
        // Nobody watches the phases: the receiver is gone at once, and the sender does not mind.
        let (events, _) = mpsc::channel();
        let seed = session.seed.derive(scenario.name);
        let finished = session
            .runtime
            .block_on(trial::run(&shared, scenario, seed, &events));
        if finished.verdict.kind == Kind::Pass {
            Ok(())
        } else {
            Err(explain(&finished).into())
        }
    }

    /// Ends the environment inside the runtime, then the runtime: tasks that are still there belong to nobody any
    /// more.
    fn end(self) {
        if let Some(Ok(Session {
            runtime, environment, ..
        })) = self.session.into_inner()
        {
            let context = runtime.enter();
            drop(environment);
            drop(context);
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
    }
}

/// Writes the diagnosis and the scene to stderr; returns the diagnosis.
fn explain(finished: &Finished) -> String {
    let headline = scene::headline(finished);
    let mut text = format!("Error: {headline}\n").into_bytes();
    // Writing to memory cannot fail, and where stderr is gone the exit code still says it. One write keeps the scenes
    // of trials that run at the same time apart.
    drop(scene::write(finished, &mut text));
    drop(io::stderr().write_all(&text));
    headline
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
