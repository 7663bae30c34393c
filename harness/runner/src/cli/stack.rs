//! `harness stack up`: a pipeline that stands until Ctrl-C.

use std::io::{self, Write};

use camino::Utf8PathBuf;

use super::args::UpArgs;
use super::{entropy, session, unwritable};
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::{ADDRESSES, Commands, UP};
use crate::report::{Event, Reporter, scene};
use crate::run::{self, Planned};
use crate::trial::Shared;

pub(super) fn up<K: Commands>(
    kit: &K,
    mut settings: Settings,
    args: UpArgs,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    args.target.merge(&mut settings);
    settings.out = args.out.or(settings.out.take());
    let scenario = kit.stand();
    let mut standing = Standing {
        out,
        dir: Utf8PathBuf::new(),
        up: false,
    };
    let summary = session(kit, &settings, |session| {
        let environment = session.wait(kit.environment(&settings))?;
        // There is nothing to judge: whoever asked for it does with it what they like.
        let shared = Shared {
            judge: |_| Vec::new(),
            ..session.shared(kit, &settings, &environment)
        };
        let seed = settings.run_seed(&entropy());
        let planned = Planned {
            scenario: &scenario,
            seed,
        };
        let runtime = session.runtime.handle();
        Ok(run::execute(&shared, &[planned], seed, 1, runtime, &mut standing))
    })?;
    let asked = |rule: &str| standing.up && rule == "interrupted";
    let mut findings = summary.finished.iter().flat_map(|ended| &ended.verdict.findings);
    if !findings.all(|finding| asked(&finding.rule)) {
        return Ok(summary.exit);
    }
    writeln!(out, "removed").map_err(unwritable)?;
    Ok(Exit::Passed)
}

/// Says where everything is once it stands, and what went wrong if it does not.
struct Standing<'a> {
    out: &'a mut dyn Write,
    dir: Utf8PathBuf,
    up: bool,
}

impl Reporter for Standing<'_> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        match event {
            Event::RunStarted { dir, .. } => self.dir.clone_from(dir),
            Event::Phase { trial, phase } if phase == UP => {
                self.up = true;
                let addresses = std::fs::read_to_string(self.dir.join(trial).join(ADDRESSES))?;
                write!(self.out, "{addresses}")?;
                writeln!(self.out, "Ctrl-C removes it")?;
            }
            Event::TrialFinished(ended) => {
                let mut ended = ended.clone();
                ended
                    .verdict
                    .findings
                    .retain(|finding| !(self.up && finding.rule == "interrupted"));
                if !ended.verdict.findings.is_empty() {
                    scene::write(&ended, self.out)?;
                }
            }
            _ => {}
        }
        self.out.flush()
    }
}
