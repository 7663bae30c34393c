//! One log file for each trial: `trial.log` in its folder.
//!
//! A span with a field `trial` opens the file in the folder that the field names; every event below that span goes
//! there, whichever thread it comes from. Tasks that an environment spawns must therefore be instrumented with the
//! current span. Events outside any trial are dropped. A log that cannot be written never changes a verdict.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use crate::exit::Refusal;

/// The subscriber that writes trial logs, for events that pass `filter` (syntax of `tracing_subscriber`'s
/// `EnvFilter`).
///
/// # Errors
/// The filter cannot be used.
pub fn subscriber(filter: &str) -> Result<impl Subscriber + Send + Sync + use<>, Refusal> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| Refusal::config(format!("HARNESS_LOG: `{filter}` cannot be used: {error}")))?;
    Ok(Registry::default().with(TrialFile.with_filter(filter)))
}

/// Installs [`subscriber`] for the whole process, once; where one is already there, it stays.
///
/// # Errors
/// The filter cannot be used.
pub fn init(filter: &str) -> Result<(), Refusal> {
    drop(subscriber(filter)?.try_init());
    Ok(())
}

/// For a process that serves trials and is none, such as the pool: everything that passes `filter` goes to stderr.
///
/// # Errors
/// The filter cannot be used.
pub fn init_stderr(filter: &str) -> Result<(), Refusal> {
    let filter = EnvFilter::builder()
        .parse(filter)
        .map_err(|error| Refusal::config(format!("HARNESS_LOG: `{filter}` cannot be used: {error}")))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false);
    drop(Registry::default().with(lines.with_filter(filter)).try_init());
    Ok(())
}

struct TrialFile;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TrialFile {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut folder = Folder(None);
        attributes.record(&mut folder);
        let file = folder.0.and_then(|dir| {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(format!("{dir}/trial.log"))
                .ok()
        });
        if let (Some(file), Some(span)) = (file, context.span(id)) {
            span.extensions_mut().insert(file);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(mut file) = span.extensions().get::<File>() {
                let now = jiff::Timestamp::now().strftime("%H:%M:%S%.3fZ");
                let metadata = event.metadata();
                let mut line = Line(format!("{now} {:5} {}:", metadata.level(), metadata.target()));
                event.record(&mut line);
                line.0.push('\n');
                // One write for a line, in append mode: lines of different threads do not mix.
                drop(file.write_all(line.0.as_bytes()));
                return;
            }
        }
    }
}

struct Folder(Option<String>);

impl Visit for Folder {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "trial" {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

struct Line(String);

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{}", value.replace('\n', "\n    ")));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string cannot fail.
        _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
