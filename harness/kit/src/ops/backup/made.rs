//! Making a backup, and what it says of itself.

use std::collections::BTreeMap;

use harness_model::ops::backup::kept::{self, ATOMIC};
use harness_model::ops::backup::log::fresh;
use harness_model::ops::backup::metadata::{Known, Metadata};
use harness_model::ops::backup::week;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Backups;
use crate::ops::{Ran, judged};

/// A backup that was made.
#[derive(Debug, Clone)]
pub struct Made {
    pub(super) metadata: Metadata,
    raw: Value,
    /// When the script was started and had ended; none if it was told another time.
    ran: Option<(Timestamp, Timestamp)>,
    /// All that the script wrote.
    pub(super) out: String,
}

impl Made {
    /// The metadata in the form that goldens show: without what differs from run to run.
    pub fn canonical(&self) -> Value {
        let mut raw = self.raw.clone();
        for (key, mark) in [
            ("started_utc", "<time>"),
            ("finished_utc", "<time>"),
            ("duration_seconds", "<seconds>"),
            ("size_bytes", "<bytes>"),
        ] {
            if raw.get(key).is_some() {
                raw[key] = json!(mark);
            }
        }
        if let Some(checksums) = raw.get_mut("checksums").and_then(Value::as_object_mut) {
            for checksum in checksums.values_mut() {
                *checksum = json!("<checksum>");
            }
        }
        raw
    }

    /// The script said how far it was.
    ///
    /// # Errors
    /// Fail if it did not.
    pub fn shows_progress(&self) -> Outcome {
        if self.out.contains("MiB in") {
            return Ok(());
        }
        Err(Failure::fail(format!(
            "a long backup says nothing of how far it is:\n{}",
            self.out
        )))
    }
}

impl Backups {
    /// Runs the backup script. It must succeed.
    ///
    /// # Errors
    /// Fail if it does not, or if there is no metadata afterwards that can be read.
    pub async fn make(&self) -> Result<Made, Failure> {
        let begin = Timestamp::now();
        let ran = self.script("backup", &[]).await?;
        let end = Timestamp::now();
        let mut made = self.made(ran).await?;
        made.ran = Some((begin, end));
        Ok(made)
    }

    /// The same, as if it were then (RFC 3339).
    ///
    /// # Errors
    /// As [`Backups::make`].
    pub async fn make_at(&self, now: &str) -> Result<Made, Failure> {
        let ran = self.script("backup", &[("BACKUP_NOW", now)]).await?;
        self.made(ran).await
    }

    pub(super) async fn made(&self, ran: Ran) -> Result<Made, Failure> {
        if ran.code != 0 {
            return Err(Failure::fail(format!(
                "the backup failed with exit code {}:\n{}",
                ran.code, ran.out
            )));
        }
        let name = self.metadata_name()?;
        let text = self.ops.shell(&format!("gsutil cat '{name}'")).await?;
        if text.code != 0 {
            return Err(
                Failure::fail(format!("{name}: there is no metadata: {}", text.out)).rule("backup-metadata"),
            );
        }
        let metadata = Metadata::parse(&name, &text.out).map_err(|found| judged(found).unwrap_err())?;
        let raw = serde_json::from_str(&text.out).map_err(|error| Failure::fail(error.to_string()))?;
        Ok(Made {
            metadata,
            raw,
            ran: None,
            out: ran.out,
        })
    }

    /// The metadata says what is so: of the object, and of tables that nobody has written to since.
    ///
    /// # Errors
    /// Fail, rule `backup-metadata`.
    pub async fn metadata_is_true(&self, made: &Made) -> Outcome {
        let dump = self.dump_name()?;
        let size = self
            .shell(&format!(
                "gsutil stat '{dump}' | sed -n 's/^ *Content-Length: *//p'"
            ))
            .await?;
        let mut source = self.source_contents().await?;
        // Metadata that counts some of the tables only is as good, for these.
        let counted = &made.metadata.row_counts;
        if made.metadata.checksums.is_empty() {
            source.retain(|table, _| counted.contains_key(table));
        }
        let known = Known {
            env: Some(&self.environment()?),
            object: Some(&dump),
            size_bytes: size.trim().parse().ok(),
            source: Some(&source),
            now: Some(Timestamp::now()),
            ran: made.ran,
        };
        let mut found = made.metadata.is_true(&self.metadata_name()?, &known);
        for (table, rows) in counted {
            let there = source.get(table).copied().unwrap_or_default();
            if there != *rows && *rows > 0 {
                found.push(harness_model::verdict::Finding::new(
                    harness_model::verdict::Kind::Fail,
                    "backup-metadata",
                    format!("row_counts.{table} is {rows}; the source has {there} rows"),
                ));
            }
        }
        judged(found)
    }

    /// Rows of every table of the source, now.
    async fn source_contents(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let contents = self.contents_of_source().await?;
        let rows = contents.tables.into_iter();
        Ok(rows.map(|(table, held)| (table, held.rows)).collect())
    }

    /// Somebody wrote before the backup's moment, and somebody after it: else it shows nothing.
    ///
    /// # Errors
    /// Invalid if it was not so.
    pub async fn others_wrote_meanwhile(&self, made: &Made) -> Outcome {
        let after = self.source_contents().await?;
        let analysis = &self.world.topology.effects.analysis.table;
        let then = made
            .metadata
            .row_counts
            .get(analysis)
            .copied()
            .unwrap_or_default();
        let now = after.get(analysis).copied().unwrap_or_default();
        if then > 0 && then < now {
            return Ok(());
        }
        Err(Failure::invalid(format!(
            "of {now} rows of {analysis}, {then} were there at the moment of the backup: it was not taken amid writes"
        )))
    }

    /// The log says that the last backup is fresh, by the harness' own reading and by that of the check.
    ///
    /// # Errors
    /// Fail, rule `backup-fresh`.
    pub async fn is_fresh_now(&self) -> Outcome {
        let log = self.log_name()?;
        let text = self.ops.shell(&format!("cat '{log}'")).await?;
        let text = (text.code == 0).then_some(text.out);
        judged(fresh(
            &log,
            text.as_deref(),
            &self.environment()?,
            Timestamp::now(),
        ))
    }

    /// The check of freshness says of every age, and of what cannot be read, what it should.
    ///
    /// # Errors
    /// Fail, rule `backup-fresh`, with the first log that is judged wrong.
    pub async fn freshness_is_judged_right(&self) -> Outcome {
        let env = self.environment()?;
        let now: Timestamp = "2026-11-24T12:00:00Z"
            .parse()
            .map_err(|error| Failure::infra(format!("{error}")))?;
        let done = |time: &str| format!("{time} INFO backup complete env={env}\n");
        let logs = [
            ("29 h 59 min old", Some(done("2026-11-23T06:01:00Z"))),
            ("30 h old", Some(done("2026-11-23T06:00:00Z"))),
            ("30 h 01 min old", Some(done("2026-11-23T05:59:00Z"))),
            ("no file", None),
            (
                "no line",
                Some("2026-11-24T03:00:00Z INFO backup begins\n".to_owned()),
            ),
            ("an unreadable time", Some(done("2026-11-24T25:61:00Z"))),
            ("a word for a time", Some(done("yesterday"))),
            (
                "an unreadable time after a readable one",
                Some(done("2026-11-24T03:00:00Z") + &done("N/A")),
            ),
            ("a time in the future", Some(done("2026-11-24T12:01:00Z"))),
            (
                "another environment",
                Some(done("2026-11-24T03:00:00Z").replace(&format!("env={env}"), "env=elsewhere")),
            ),
        ];
        for (what, log) in logs {
            let file = format!("{}.sample", self.log_name()?);
            match &log {
                Some(text) => self.shell(&format!("cat >'{file}' <<'LOG'\n{text}LOG")).await?,
                None => self.shell(&format!("rm -f '{file}'")).await?,
            };
            let vars = [
                ("BACKUP_LOG", file.as_str()),
                ("BACKUP_NOW", "2026-11-24T12:00:00Z"),
            ];
            let ran = self.script("freshness", &vars).await?;
            let found = fresh(&file, log.as_deref(), &env, now);
            let wrong = match (found.first(), ran.code) {
                (Some(finding), 0) => format!("it is called fresh, and {}", finding.what),
                (None, code) if code != 0 => format!("it is fresh, and the check says: {}", ran.out),
                _ => continue,
            };
            return Err(Failure::fail(format!("{what}: {wrong}")).rule("backup-fresh"));
        }
        Ok(())
    }

    /// There is a copy of both objects for the week of a Sunday on which a backup began, and none of another day.
    ///
    /// # Errors
    /// Fail, rule `backup-weekly`.
    pub async fn weekly_copies_are_right(&self, start: &str) -> Outcome {
        let at: Timestamp = start
            .parse()
            .map_err(|error| Failure::infra(format!("{start}: {error}")))?;
        let day = jiff::tz::TimeZone::UTC.to_datetime(at).date();
        let folder = self.weekly_folder()?;
        let found = self
            .shell(&format!("gsutil ls -r '{folder}' 2>/dev/null || true"))
            .await?;
        let key = week::key(day);
        let copies: Vec<_> = found.lines().map(str::to_owned).collect();
        judged(kept::weekly(
            day,
            &[self.dump_name()?, self.metadata_name()?],
            &copies,
        ))?;
        // The copy is of this very backup; then it makes room for the next day.
        for copy in &copies {
            let current = copy.replace(&format!("/{key}/"), "/current/");
            self.shell(&format!(
                "cmp <(gsutil cat '{copy}') <(gsutil cat '{current}') && gsutil -q rm '{copy}'"
            ))
            .await?;
        }
        Ok(())
    }

    /// Runs the backup script, which must fail for this reason and leave the last good pair as it was.
    ///
    /// # Errors
    /// Fail, rule `backup-atomic`, if it does not.
    pub async fn fails_to_make(&self, reason: &str) -> Outcome {
        let before = self.present().await?;
        let ran = self.script("backup", &[]).await?;
        if ran.code == 0 || !ran.out.contains(reason) {
            return Err(Failure::fail(format!(
                "a backup that had to fail with `{reason}` ended with exit code {}:\n{}",
                ran.code, ran.out
            ))
            .rule(ATOMIC));
        }
        self.still_there(&before).await
    }

    /// Kills the backup script while it dumps; the last good pair must be as it was.
    ///
    /// # Errors
    /// Fail, rule `backup-atomic`, if it is not.
    pub async fn is_killed_midway(&self) -> Outcome {
        let before = self.present().await?;
        self.kill_when("backup", "mariadb-dump", "KILL").await?;
        self.still_there(&before).await
    }

    /// Generations of the last good pair.
    async fn present(&self) -> Result<String, Failure> {
        let (dump, metadata) = (self.dump_name()?, self.metadata_name()?);
        self.shell(&format!("gsutil ls -a '{dump}' '{metadata}' | sort"))
            .await
    }

    async fn still_there(&self, before: &str) -> Outcome {
        judged(kept::unchanged(before, &self.present().await?))
    }

    /// From now on the object store takes nothing more.
    ///
    /// # Errors
    /// Infra when the box does not do it.
    pub async fn fill_store(&self) -> Outcome {
        self.shell("echo 1 >\"$OBJECT_STORE/.limit\"").await.map(drop)
    }
}
