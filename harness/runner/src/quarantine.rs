//! The quarantine as a run honours it: read once, with the day on which it is read.
//!
//! What an entry means is said in [`harness_model::quarantine`]. A file that is named and cannot be used refuses the run:
//! nobody can tell any more what it was to hold.

use camino::{Utf8Path, Utf8PathBuf};
use harness_model::quarantine::{Quarantine, Standing};
use harness_model::verdict::{Kind, Verdict};
use jiff::civil::Date;

use crate::exit::Refusal;
use crate::report::Finished;

/// The entries that are in force today.
#[derive(Debug, Clone, Default)]
pub struct Ward {
    /// The entries.
    pub list: Quarantine,
    /// The file they are from.
    pub file: Utf8PathBuf,
    /// The day, in UTC.
    pub today: Date,
}

impl Ward {
    /// Reads a file; without one there is nothing in quarantine.
    ///
    /// # Errors
    /// It cannot be read, or it is no quarantine of this catalogue; what is wrong is shown with its line.
    pub fn read(file: Option<&Utf8Path>, catalogue: &[&str], today: Date) -> Result<Self, Refusal> {
        let Some(file) = file else {
            return Ok(Self {
                today,
                ..Self::default()
            });
        };
        let text = std::fs::read_to_string(file)
            .map_err(|error| Refusal::config(format!("cannot read the quarantine {file}: {error}")))?;
        let list = Quarantine::parse(file.as_str(), &text)
            .and_then(|list| list.check(catalogue, today))
            .map_err(|error| Refusal::config(format!("{file}:\n{}", error.render(100, false))))?;
        Ok(Self {
            list,
            file: file.to_owned(),
            today,
        })
    }

    /// What quarantine makes of a trial; nothing, if its scenario is not there.
    pub fn standing(&self, scenario: &str, verdict: &Verdict) -> Option<Standing> {
        Some(self.list.of(scenario)?.standing(self.today, verdict))
    }

    /// Looks at the trials of a whole run: the known failures of a scenario that has failed more often than its entry
    /// allows are held no more. Parts of a run are left out: of a sweep not all trials are kept, and it has a rate of its own.
    pub(crate) fn limit(&self, finished: &mut [Finished]) {
        for entry in self.list.entries() {
            let of = |ended: &&Finished| ended.scenario == entry.scenario && ended.part().is_none();
            let kinds = finished.iter().filter(of).map(|ended| ended.verdict.kind);
            let known: Vec<_> = kinds
                .filter(|kind| !matches!(kind, Kind::Infra | Kind::Invalid))
                .collect();
            let failures = known.iter().filter(|kind| **kind != Kind::Pass).count() as u64;
            let trials = known.len() as u64;
            // One trial shows no rate.
            if trials < 2 || !entry.is_exceeded(failures, trials) {
                continue;
            }
            let held = |ended: &Finished| of(&ended) && ended.is_held();
            for ended in finished.iter_mut().filter(|ended| held(ended)) {
                ended.quarantine = Some(Standing::Exceeded { failures, trials });
            }
        }
    }

    /// The scenarios of a run that has been looked at and that have failed more often than their entries allow, in words.
    pub(crate) fn exceeded(&self, finished: &[Finished]) -> Vec<String> {
        let of = |entry: &harness_model::quarantine::Entry| {
            finished.iter().find_map(|ended| match ended.quarantine {
                Some(Standing::Exceeded { failures, trials }) if ended.scenario == entry.scenario => {
                    Some(format!(
                        "{} has failed in {failures} of {trials} trials; its quarantine allows {:.1} %",
                        entry.scenario,
                        100.0 * entry.max_rate
                    ))
                }
                _ => None,
            })
        };
        self.list.entries().iter().filter_map(of).collect()
    }
}

/// Today, in UTC.
pub fn today() -> Date {
    jiff::tz::TimeZone::UTC.to_datetime(jiff::Timestamp::now()).date()
}

/// What a reader is told of a trial's standing, in a few words; nothing of one that is as good as any other.
pub fn note(standing: &Standing) -> String {
    match standing {
        Standing::Held => "quarantined".to_owned(),
        Standing::New { fingerprints } => {
            let new: Vec<_> = fingerprints.iter().map(ToString::to_string).collect();
            format!("quarantined, but this failure is new: {}", new.join(", "))
        }
        Standing::Exceeded { failures, trials } => format!(
            "quarantined, but its scenario has failed in {failures} of {trials} trials, more often than it may"
        ),
        Standing::Expired => "its quarantine has expired: mend it, renew the entry or remove it".to_owned(),
        Standing::Unknown => "quarantined, but this says nothing of the pipeline".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use harness_model::quarantine::{Quarantine, Standing};
    use harness_model::seed::Seed;
    use harness_model::verdict::{Finding, Kind, Verdict};

    use super::Ward;
    use crate::report::Finished;
    use crate::report::scene::Scene;

    fn ended(trial: &str, kind: Option<Kind>) -> Finished {
        Finished {
            trial: trial.to_owned(),
            scenario: "a::b".to_owned(),
            seed: Seed(1),
            dir: trial.into(),
            verdict: Verdict::of(
                kind.map(|kind| Finding::new(kind, "rule", "lost"))
                    .into_iter()
                    .collect(),
            ),
            quarantine: Some(Standing::Held),
            scene: Scene::default(),
        }
    }

    #[test]
    fn a_rate_is_that_of_a_run_without_its_parts() {
        let text = "[[entry]]\nscenario = \"a::b\"\nowner = \"o\"\nissue = \"i\"\nreason = \"r\"\nadded = 2026-01-01\n\
                    expires = 2026-02-01\nmax_rate = 0.05\nfingerprints = [\"fail/no-loss/0123456789abcdef\"]\n";
        let ward = Ward {
            list: Quarantine::parse("q.toml", text).unwrap(),
            ..Ward::default()
        };
        let (fail, pass, infra) = (Some(Kind::Fail), None, Some(Kind::Infra));
        for (trials, exceeded) in [
            (&[("1", fail)][..], 0),
            (&[("1", fail), ("2", infra)], 0),
            (&[("1", fail), ("2", fail), ("3", pass)], 2),
            (&[("1", fail), ("2", pass), ("3", pass), ("4", pass)], 0),
            (&[("1/a.b", fail), ("2/a.b", fail), ("3", pass)], 0),
        ] {
            let mut finished: Vec<_> = trials.iter().map(|(trial, kind)| ended(trial, *kind)).collect();
            ward.limit(&mut finished);
            let found = finished
                .iter()
                .filter(|ended| matches!(ended.quarantine, Some(Standing::Exceeded { .. })));
            assert_eq!(found.count(), exceeded, "{trials:?}");
            assert_eq!(ward.exceeded(&finished).len(), exceeded.min(1), "{trials:?}");
        }
    }
}
