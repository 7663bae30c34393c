//! The restore drill: that it passes what is good, finds what is not, and leaves nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use harness_model::ops::backup::kept;
use harness_model::ops::backup::restore::EQUAL;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use harness_stack::wait;
use serde_json::{Value, json};

use super::{Backups, Damage, damage};
use crate::ops::{Ran, infra, judged};
use crate::world::lock;

/// Longest time from a script's start to the point at which it is to be killed.
const POINT: Duration = Duration::from_secs(30);
/// The script's name in the topology.
const DRILL: &str = "restore_drill";

/// The current backup with its metadata changed by the scenario.
pub struct Recounted<'a> {
    backups: &'a Backups,
    percent: f64,
}

impl Backups {
    /// Runs the drill, which must pass, and gives its report in the form that goldens show.
    ///
    /// # Errors
    /// Fail, rule `restore-equal`, if it does not pass; rule `drill-clean` if it leaves something.
    pub async fn drill(&self) -> Result<Value, Failure> {
        let ran = self.script(DRILL, &[]).await?;
        self.passed(&ran).await
    }

    /// As [`Backups::drill`]; the drill also has to say how far the restore is while it works.
    ///
    /// # Errors
    /// As [`Backups::drill`], and fail if it says nothing.
    pub async fn long_drill(&self) -> Result<Value, Failure> {
        let ran = self.script(DRILL, &[]).await?;
        let report = self.passed(&ran).await?;
        let told = |line: &str| line.contains(" INFO restoring: ") && line.contains(" MiB in ");
        if ran.out.lines().any(told) {
            return Ok(report);
        }
        Err(Failure::fail(format!(
            "a long restore says nothing of how far it is:\n{}",
            ran.out
        )))
    }

    /// The report of a drill that has passed.
    async fn passed(&self, ran: &Ran) -> Result<Value, Failure> {
        self.left_nothing().await?;
        if ran.code != 0 {
            let what = format!(
                "the restore drill failed with exit code {}:\n{}",
                ran.code, ran.out
            );
            return Err(Failure::fail(what).rule(EQUAL));
        }
        let file = self.report_name()?;
        let text = self.shell(&format!("cat '{file}'")).await?;
        let mut report: Value = serde_json::from_str(&text)
            .map_err(|error| Failure::fail(format!("{file} is no report: {error}")))?;
        for key in ["env", "object"] {
            report[key] = json!(format!("<{key}>"));
        }
        Ok(report)
    }

    /// Does one damage after the other to a good backup; the drill must fail each time, with a message of its own, and leave
    /// nothing. Gives the messages by the damage, without numbers and names that differ from run to run.
    ///
    /// # Errors
    /// Fail, rule `restore-equal`, for a damage that is not found or is said in the words of another.
    pub async fn drill_each(&self, damages: &[Damage]) -> Result<Value, Failure> {
        let (dump, metadata) = (self.dump_name()?, self.metadata_name()?);
        self.shell(&damage::keep(&dump, &metadata, false)).await?;
        let mut said = BTreeMap::<&str, Vec<String>>::new();
        for damage in damages {
            self.shell(&damage.script(&dump, &metadata)).await?;
            let ran = self.script(DRILL, &[]).await?;
            self.left_nothing().await?;
            if ran.code == 0 {
                let what = format!(
                    "the restore drill passes a backup with this damage: {}",
                    damage.word()
                );
                return Err(Failure::fail(what).rule(EQUAL));
            }
            said.insert(damage.word(), self.complaints(&ran)?);
        }
        self.shell(&damage::keep(&dump, &metadata, true)).await?;
        let mut seen = BTreeMap::new();
        for (word, lines) in &said {
            if let Some(other) = seen.insert(lines, word) {
                let what = format!("the drill says the same of `{other}` and `{word}`: {lines:?}");
                return Err(Failure::fail(what).rule(EQUAL));
            }
        }
        Ok(json!(said))
    }

    /// The lines of a drill that say what is wrong, in the form that goldens show.
    fn complaints(&self, ran: &Ran) -> Result<Vec<String>, Failure> {
        let (dump, metadata) = (self.dump_name()?, self.metadata_name()?);
        let env = self.environment()?;
        let lines = ran.out.lines().filter_map(|line| line.split_once(" ERROR "));
        let lines: Vec<_> = lines
            .map(|(_, said)| {
                let said = said
                    .replace(&dump, "<dump>")
                    .replace(&metadata, "<metadata>")
                    .replace(&format!("env={env}"), "env=<env>")
                    .replace(&format!("not {env}"), "not <env>");
                plain(&said)
            })
            .collect();
        if lines.is_empty() {
            let what = format!("the drill fails without saying why:\n{}", ran.out);
            return Err(Failure::fail(what).rule(EQUAL));
        }
        Ok(lines)
    }

    /// Takes the checksums out of the metadata: older scripts write none.
    ///
    /// # Errors
    /// Infra when the box does not do it.
    pub async fn forget_checksums(&self) -> Outcome {
        let (dump, metadata) = (self.dump_name()?, self.metadata_name()?);
        self.shell(&format!(
            "gsutil cat '{metadata}' | jq 'del(.checksums, .objects)' >/tmp/metadata && \
             gsutil -q cp /tmp/metadata '{metadata}' && {}",
            damage::keep(&dump, &metadata, false)
        ))
        .await
        .map(drop)
    }

    /// The backup with every count in its metadata changed by so many percent; see [`Backups::forget_checksums`].
    pub fn counted_by(&self, percent: f64) -> Recounted<'_> {
        Recounted {
            backups: self,
            percent,
        }
    }

    /// The backup with one table of which its metadata counts no row, though it has some, and right counts of all others:
    /// the drill must fail and say that of this table. See [`Backups::forget_checksums`].
    ///
    /// # Errors
    /// Fail, rule `restore-equal`, if it passes or says something else.
    pub async fn drill_of_uncounted_fails(&self) -> Outcome {
        let metadata = self.metadata_name()?;
        let first = "([.row_counts | to_entries[] | select(.value > 0)][0].key) as $table";
        self.shell(&format!(
            "gsutil cat '{metadata}.good' | jq '{first} | .row_counts[$table] = 0' | gsutil -q cp - '{metadata}'"
        ))
        .await?;
        let ran = self.script(DRILL, &[]).await?;
        self.left_nothing().await?;
        let said = "the metadata counts no row, <n> were restored";
        if ran.code != 0 && self.complaints(&ran)?.iter().any(|line| line.ends_with(said)) {
            return Ok(());
        }
        let what = format!(
            "the metadata counts no row of one table that has some, and the drill ended with exit code {}; expected it to \
             fail with `{said}`:\n{}",
            ran.code, ran.out
        );
        Err(Failure::fail(what).rule(EQUAL))
    }

    /// Starts a drill, waits until its scratch database is there, and sends the signal to the script.
    ///
    /// # Errors
    /// Invalid when it was over by then.
    pub async fn end_drill(&self, signal: &str) -> Outcome {
        let kill = Box::pin(self.ops.signal(DRILL, signal));
        self.ends_at_scratch(kill).await
    }

    /// The same with SIGKILL, which all that the script has started gets, too. Something must be left of it.
    ///
    /// # Errors
    /// Invalid when it was over by then, or when nothing is left.
    pub async fn kill_all_of_drill(&self) -> Outcome {
        let kill = async {
            let site = self.ops.site()?;
            let run = lock(&site.latest).get(DRILL).cloned().unwrap_or_default();
            site.ops_box.signal_all(&run, "KILL").await.map_err(infra)
        };
        self.ends_at_scratch(Box::pin(kill)).await?;
        if self.ops.made_by_scripts().await?.is_empty() {
            let what = "a drill was killed with all that it had started, and nothing is left of it";
            return Err(Failure::invalid(what));
        }
        Ok(())
    }

    async fn ends_at_scratch(&self, kill: impl Future<Output = Outcome>) -> Outcome {
        let before = self.ops.made_by_scripts().await?;
        let point = || async {
            let now = self.ops.made_by_scripts().await;
            let now = now.map_err(|error| error.to_string())?;
            if now.difference(&before).any(|made| made.starts_with("container ")) {
                Ok(())
            } else {
                Err("the drill has started no container".to_owned())
            }
        };
        self.ends_by(DRILL, point, kill).await
    }

    /// Nothing is left of any drill: no container, no volume.
    ///
    /// # Errors
    /// Fail, rule `drill-clean`.
    pub async fn left_nothing(&self) -> Outcome {
        judged(kept::clean(&self.ops.made_by_scripts().await?))
    }

    /// Starts a script, waits until a program of this name runs in the box, and sends the signal to the script.
    pub(super) async fn kill_when(&self, role: &str, program: &str, signal: &str) -> Outcome {
        let point = || async {
            let lines = format!("pgrep -x '{program}' >/dev/null");
            let ran = self.ops.shell(&lines).await;
            let ran = ran.map_err(|error| error.to_string())?;
            if ran.code == 0 {
                Ok(())
            } else {
                Err(format!("{program} does not run"))
            }
        };
        let kill = Box::pin(self.ops.signal(role, signal));
        self.ends_by(role, point, kill).await
    }

    async fn ends_by<F>(
        &self,
        role: &str,
        point: impl Fn() -> F,
        kill: impl Future<Output = Outcome>,
    ) -> Outcome
    where
        F: Future<Output = Result<(), String>>,
    {
        let awaited = format!("the script {role} to come to the point where it is killed");
        let kill = async {
            wait::until(&awaited, POINT, &point)
                .await
                .map_err(|timed_out| Failure::invalid(timed_out.to_string()))?;
            kill.await
        };
        let (ran, killed) = tokio::join!(Box::pin(self.script(role, &[])), kill);
        killed?;
        let ran = ran?;
        if ran.code == 0 {
            return Err(Failure::invalid(format!(
                "the script {role} was over before it was killed:\n{}",
                ran.out
            )));
        }
        Ok(())
    }
}

impl Recounted<'_> {
    /// As [`Backups::drill`].
    ///
    /// # Errors
    /// As [`Backups::drill`].
    pub async fn drill(&self) -> Outcome {
        self.recount().await?;
        self.backups.drill().await.map(drop)
    }

    /// The drill must fail.
    ///
    /// # Errors
    /// Fail, rule `restore-equal`, if it passes.
    pub async fn drill_fails(&self) -> Outcome {
        self.recount().await?;
        let ran = self.backups.script(DRILL, &[]).await?;
        self.backups.left_nothing().await?;
        if ran.code != 0 {
            return Ok(());
        }
        let what = format!(
            "the drill passes though the metadata counts {} % more rows than there are",
            self.percent
        );
        Err(Failure::fail(what).rule(EQUAL))
    }

    async fn recount(&self) -> Outcome {
        let metadata = self.backups.metadata_name()?;
        let lines = format!(
            "gsutil cat '{metadata}.good' | jq '.row_counts[] |= (. * {} | round)' | gsutil -q cp - '{metadata}'",
            1.0 + self.percent / 100.0
        );
        self.backups.shell(&lines).await.map(drop)
    }
}

/// The text with a mark in the place of every number, and without what stands in parentheses: the words of other programs.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let (mut digits, mut depth) = (false, 0_usize);
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            '0'..='9' if digits => {}
            '0'..='9' => out.push_str("<n>"),
            other => out.push(other),
        }
        digits = c.is_ascii_digit();
    }
    out.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn numbers_and_the_words_of_others_are_left_out() {
        assert_eq!(plain("a: 12 rows, 3"), "a: <n> rows, <n>");
        assert_eq!(plain("corrupted (gzip: crc error 7)"), "corrupted");
        assert_eq!(plain("none"), "none");
    }
}
