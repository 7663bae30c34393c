//! Progress of slow steps, such as a build of an image, for a person who waits.
//!
//! Library code reports to a [`Progress`] and never prints. Where the reports go is the caller's choice: to a terminal
//! as lines that change in place, elsewhere as one plain line for each change, or to any other [`Sink`], for instance one
//! that sends each [`Update`] to another process.

use std::fmt;
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

/// How often a spinner turns on a terminal.
const TURN: Duration = Duration::from_millis(120);

/// Where a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Under way.
    Running,
    /// Finished.
    Done,
    /// Given up.
    Failed,
}

/// One report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Name of the step, such as the role of an image.
    pub step: String,
    /// Where it is.
    pub stage: Stage,
    /// What it does, one line.
    pub message: String,
}

/// Where reports go. Must not block for long and must not fail: a reader that has gone away ends no build.
pub trait Sink: Send + Sync {
    /// Takes one report. Reports of one step come in order and end with one that is not [`Stage::Running`].
    fn update(&self, update: Update);
}

/// A handle to which slow operations report. Clones share it.
#[derive(Clone)]
pub struct Progress {
    sink: Arc<dyn Sink>,
}

/// One slow operation under way. It reports its own failure if it is dropped before [`Step::done`].
#[derive(Debug)]
#[must_use = "dropping a step reports it as failed"]
pub struct Step {
    progress: Progress,
    name: String,
    since: Instant,
    ended: bool,
}

impl Progress {
    /// Reports to `sink`.
    pub fn to(sink: impl Sink + 'static) -> Self {
        Self { sink: Arc::new(sink) }
    }

    /// Reports to nobody.
    pub fn silent() -> Self {
        Self::to(Silent)
    }

    /// Reports to standard error: lines that change in place if that is a terminal, plain ones otherwise.
    pub fn to_stderr() -> Self {
        use std::io::IsTerminal as _;
        if std::io::stderr().is_terminal() {
            Self::to(Terminal::default())
        } else {
            Self::plain(std::io::stderr())
        }
    }

    /// Reports to `writer`, one line `step: message` for each change of message.
    pub fn plain(writer: impl Write + Send + 'static) -> Self {
        Self::to(Plain {
            writer: Mutex::new(Box::new(writer)),
        })
    }

    /// Begins a step.
    pub fn step(&self, name: &str) -> Step {
        Step {
            progress: self.clone(),
            name: name.to_owned(),
            since: Instant::now(),
            ended: false,
        }
    }

    /// Passes on a report that came from elsewhere.
    pub fn update(&self, update: Update) {
        self.sink.update(update);
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Progress").finish_non_exhaustive()
    }
}

impl Step {
    /// Says what the step does now.
    pub fn message(&self, message: impl Into<String>) {
        self.report(Stage::Running, message.into());
    }

    /// Ends the step well. The time that it took is added.
    pub fn done(mut self, message: &str) {
        self.ended = true;
        self.report(
            Stage::Done,
            format!("{message} ({:.1} s)", self.since.elapsed().as_secs_f64()),
        );
    }

    /// Ends the step badly.
    pub fn failed(mut self, message: impl Into<String>) {
        self.ended = true;
        self.report(Stage::Failed, message.into());
    }

    fn report(&self, stage: Stage, message: String) {
        self.progress.update(Update {
            step: self.name.clone(),
            stage,
            message,
        });
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.ended {
            self.report(Stage::Failed, "given up".to_owned());
        }
    }
}

struct Silent;

impl Sink for Silent {
    fn update(&self, _: Update) {}
}

struct Plain {
    writer: Mutex<Box<dyn Write + Send>>,
}

impl Sink for Plain {
    fn update(&self, update: Update) {
        let mark = if update.stage == Stage::Failed {
            "failed: "
        } else {
            ""
        };
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed pipe is not the step's problem, see `Sink`.
        drop(writeln!(writer, "{}: {mark}{}", update.step, update.message));
    }
}

#[derive(Default)]
struct Terminal {
    lines: MultiProgress,
    steps: Mutex<std::collections::BTreeMap<String, ProgressBar>>,
}

impl Sink for Terminal {
    fn update(&self, update: Update) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        let line = steps.entry(update.step.clone()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{spinner} {prefix:<12} {wide_msg} {elapsed}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            let line = self.lines.add(
                ProgressBar::new_spinner()
                    .with_style(style)
                    .with_prefix(update.step.clone()),
            );
            line.enable_steady_tick(TURN);
            line
        });
        match update.stage {
            Stage::Running => line.set_message(update.message),
            Stage::Done => line.finish_with_message(update.message),
            Stage::Failed => line.abandon_with_message(format!("failed: {}", update.message)),
        }
        if update.stage != Stage::Running {
            steps.remove(&update.step);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Progress;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn plain_progress_is_one_line_for_each_change_and_a_dropped_step_has_failed() {
        let out = Shared::default();
        let progress = Progress::plain(out.clone());
        let step = progress.step("broker");
        step.message("downloading packages");
        step.done("built");
        progress.step("database").failed("no route");
        drop(progress.step("services"));
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "broker: downloading packages");
        assert!(lines[1].starts_with("broker: built (0."), "{text}");
        assert_eq!(
            lines[2..],
            ["database: failed: no route", "services: failed: given up"]
        );
    }
}
