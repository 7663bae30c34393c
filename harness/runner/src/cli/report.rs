//! `harness report`: a stored run as one page.

use std::io::Write;

use super::args::ReportArgs;
use super::{scenarios, unwritable};
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::html::{self, Why};
use crate::kit::Commands;

pub(super) fn run<K: Commands>(
    kit: &K,
    settings: &Settings,
    args: &ReportArgs,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let run = args
        .run
        .clone()
        .unwrap_or_else(|| settings.out_dir().join("latest"));
    let doc = |name: &str| {
        let known = scenarios(kit, name);
        let found = known.iter().find(|scenario| scenario.name == name);
        found.map(|scenario| scenario.doc.to_owned())
    };
    let page = html::write(&run, &doc, args.out.as_deref())?;
    let kilobytes = page.bytes.div_ceil(1000);
    let trials = if page.trials == 1 {
        "1 trial".to_owned()
    } else {
        format!("{} trials", page.trials)
    };
    writeln!(out, "{}  ({trials}, {kilobytes} kB)", page.path).map_err(unwritable)?;
    Ok(Exit::Passed)
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Self {
        let what = why.to_string();
        let refusal = match why {
            Why::Store(error) => Self::from(error),
            Why::Empty(_) => Self {
                exit: Exit::NothingSelected,
                ..Self::config(what)
            },
            Why::Write { .. } => return Self::config(what).hint("name another file with --out"),
        };
        refusal.hint("name the folder of a run or of a trial")
    }
}
