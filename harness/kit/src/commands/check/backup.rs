//! `harness check backup`.

use std::fs::File;
use std::io::{self, Read};

use camino::Utf8Path;
use flate2::read::MultiGzDecoder;
use harness_model::ops::backup::log;
use harness_model::ops::backup::metadata::{self, Known, Metadata};
use harness_model::ops::backup::restore::{self, Unpacked};
use harness_runner::check::{BackupCheck, Checked};
use harness_runner::config::Settings;
use harness_runner::exit::Refusal;
use jiff::Timestamp;

use super::{OPS, drill, read};

/// Bytes that are unpacked at a time; no more of a dump is in memory.
const CHUNK: usize = 64 * 1024;
/// Most of the dump's last line that is kept.
const LINE: usize = 200;

pub(super) async fn run(
    settings: &Settings,
    asked: &BackupCheck,
    now: Timestamp,
) -> Result<Vec<Checked>, Refusal> {
    let log = match std::fs::read_to_string(&asked.log) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(Refusal::config(format!("read {}: {error}", asked.log))),
    };
    let mut checked = vec![Checked::of(
        log::FRESH,
        asked.log.as_str(),
        log::fresh(asked.log.as_str(), log.as_deref(), &asked.env, now),
    )];
    let mut said = None;
    checked.push(match &asked.metadata {
        None => Checked::skipped(metadata::TRUE, "not asked; see --metadata"),
        Some(file) => {
            let findings = match Metadata::parse(file.as_str(), &read(file)?) {
                Err(findings) => findings,
                Ok(read) => untrue(asked, file, said.insert(read), now)?,
            };
            Checked::of(metadata::TRUE, file.as_str(), findings)
        }
    });
    checked.push(match &asked.object {
        None => Checked::skipped(restore::EQUAL, "not asked; see --object"),
        Some(object) => {
            let unpacked = File::open(object)
                .and_then(unpack)
                .map_err(|error| Refusal::config(format!("read {object}: {error}")))?;
            let looked_at = format!("the archive {object}, to its end");
            Checked::of(
                restore::EQUAL,
                looked_at,
                restore::archive(object.as_str(), &unpacked),
            )
        }
    });
    if asked.drill {
        let whole = checked
            .last()
            .is_some_and(|archive| archive.findings.as_ref().is_some_and(Vec::is_empty));
        checked.push(match (&asked.object, &said) {
            (Some(object), Some(metadata)) if whole => {
                let roles = ["broker", "database", OPS];
                let stack = super::super::stack_with(settings, |role| roles.contains(&role)).await?;
                let drilled = drill::run(&stack, object, metadata).await?;
                let restored: u64 = metadata
                    .row_counts
                    .keys()
                    .filter_map(|table| drilled.rows.get(table))
                    .sum();
                let looked_at = format!(
                    "{object} restored into a scratch database: {restored} rows of {}",
                    metadata.row_counts.keys().cloned().collect::<Vec<_>>().join(", ")
                );
                Checked::of(restore::EQUAL, looked_at, drilled.findings)
            }
            _ => Checked::skipped(
                restore::EQUAL,
                "no drill: it takes a whole archive, and metadata that can be read",
            ),
        });
    }
    Ok(checked)
}

/// What is not so of what the backup says of itself.
fn untrue(
    asked: &BackupCheck,
    file: &Utf8Path,
    metadata: &Metadata,
    now: Timestamp,
) -> Result<Vec<harness_model::verdict::Finding>, Refusal> {
    let size = |object: &Utf8Path| {
        let about = std::fs::metadata(object);
        about.map_err(|error| Refusal::config(format!("read {object}: {error}")))
    };
    let known = Known {
        env: Some(&asked.env),
        object: asked.object.as_deref().and_then(Utf8Path::file_name),
        size_bytes: asked
            .object
            .as_deref()
            .map(size)
            .transpose()?
            .map(|about| about.len()),
        source: None,
        now: Some(now),
        ran: None,
    };
    Ok(metadata.is_true(file.as_str(), &known))
}

/// Unpacks an archive to its end, and keeps nothing but how far that went and the last line.
fn unpack(archive: impl Read) -> io::Result<Unpacked> {
    let mut archive = MultiGzDecoder::new(archive);
    let mut chunk = vec![0; CHUNK];
    let (mut bytes, mut tail) = (0, Vec::new());
    loop {
        match archive.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                bytes += read as u64;
                tail.extend_from_slice(&chunk[..read]);
                let old = tail.len().saturating_sub(LINE);
                tail.drain(..old);
            }
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::UnexpectedEof => Ok(Unpacked::Truncated { after: bytes }),
                    io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => Ok(Unpacked::Corrupted {
                        after: bytes,
                        cause: error.to_string(),
                    }),
                    _ => Err(error),
                };
            }
        }
    }
    let text = String::from_utf8_lossy(&tail);
    let last_line = text.lines().rev().find(|line| !line.trim().is_empty());
    Ok(Unpacked::Whole {
        bytes,
        last_line: last_line.unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use harness_model::ops::backup::restore::Unpacked;

    use super::{CHUNK, unpack};

    const END: &str = "-- Dump completed on 2026-11-24  3:00:10\n\n";

    fn packed() -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        for row in 0..CHUNK / 8 {
            writeln!(
                encoder,
                "INSERT INTO reports VALUES ({row}, '{}');",
                row * 7919 % 10_007
            )
            .unwrap();
        }
        encoder.write_all(END.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_whole_archive_is_read_to_its_last_line() {
        let Unpacked::Whole { bytes, last_line } = unpack(&packed()[..]).unwrap() else {
            panic!("it is whole")
        };
        assert!(bytes > CHUNK as u64, "{bytes}");
        assert_eq!(last_line, END.trim());
    }

    #[test]
    fn a_cut_and_a_damaged_archive_are_told_apart() {
        let packed = packed();
        for length in [packed.len() / 2, packed.len() - 4] {
            let unpacked = unpack(&packed[..length]).unwrap();
            assert!(
                matches!(unpacked, Unpacked::Truncated { after } if after > 0),
                "{unpacked:?}"
            );
        }
        let mut damaged = packed.clone();
        // Of the checksum that stands at its end.
        let at = damaged.len() - 7;
        damaged[at] ^= 0xff;
        let unpacked = unpack(&damaged[..]).unwrap();
        assert!(matches!(unpacked, Unpacked::Corrupted { .. }), "{unpacked:?}");
        let unpacked = unpack(&b"no archive at all"[..]).unwrap();
        assert!(
            matches!(unpacked, Unpacked::Corrupted { after: 0, .. }),
            "{unpacked:?}"
        );
    }
}
