//! Metadata and restores.

use std::collections::BTreeMap;

use harness_model::ops::backup::metadata::{Known, Metadata, TRUE};
use harness_model::ops::backup::restore::{
    Contents, EQUAL, TOLERANCE_PCT, Table, Unpacked, archive, counts, equal,
};
use harness_model::verdict::Finding;

use crate::Cases;

const GOOD: &str = r#"{"env":"prod","object":"current/cleanapp_all.sql.gz","started_utc":"2026-11-24T03:00:00Z",
"finished_utc":"2026-11-24T03:02:30Z","duration_seconds":150,"size_bytes":1000,
"row_counts":{"reports":100,"report_analysis":120},"checksums":{"reports":"1f"},"tool":"1.2"}"#;

fn by_table(rows: &[(&str, u64)]) -> BTreeMap<String, u64> {
    rows.iter()
        .map(|(table, rows)| ((*table).to_owned(), *rows))
        .collect()
}

fn judged(json: &str, known: &Known<'_>) -> Vec<Finding> {
    match Metadata::parse("m.json", json) {
        Ok(metadata) => metadata.is_true("m.json", known),
        Err(findings) => findings,
    }
}

#[test]
fn metadata_is_complete_and_true() {
    let mut cases = Cases::of(TRUE);
    let source = by_table(&[("reports", 101), ("report_analysis", 121)]);
    let known = Known {
        env: Some("prod"),
        object: Some("cleanapp_all.sql.gz"),
        size_bytes: Some(1000),
        source: Some(&source),
        now: Some("2026-11-24T03:02:30Z".parse().unwrap()),
        ran: None,
    };
    let changed = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        judged(&GOOD.replacen(from, to, 1), &known)
    };
    cases.accept("good", &judged(GOOD, &known));
    cases.accept("nothing is known better", &judged(GOOD, &Known::default()));
    cases.accept("a second lost by rounding", &changed("150", "149"));
    cases.accept("no checksums", &changed(r#","checksums":{"reports":"1f"}"#, ""));
    let empty = by_table(&[("reports", 0)]);
    let none = GOOD
        .replace("100", "0")
        .replace("\"size_bytes\":00", "\"size_bytes\":1000");
    let known_empty = Known {
        source: Some(&empty),
        size_bytes: None,
        ..known
    };
    cases.accept("a table that is empty", &judged(&none, &known_empty));

    // Times are those of the run, but for a second that is lost by rounding.
    let within = |begin: &str, end: &str| {
        let at = |time: &str| format!("2026-11-24T{time}Z").parse().unwrap();
        let known = Known {
            ran: Some((at(begin), at(end))),
            ..known
        };
        judged(GOOD, &known)
    };
    cases.accept("within its run", &within("03:00:00.9", "03:02:30.1"));
    cases.reject("begun before its run", &within("03:00:02", "03:02:31"), 1);
    cases.reject("ended after its run", &within("02:59:59", "03:02:28"), 1);
    cases.reject("times of another run", &within("04:00:00", "04:02:30"), 2);

    cases.reject(
        "a failed count as 0",
        &changed("\"reports\":100", "\"reports\":0"),
        1,
    );
    cases.reject("a table that is not counted", &changed("\"reports\":100,", ""), 1);
    cases.reject(
        "no counts",
        &changed(r#"{"reports":100,"report_analysis":120}"#, "{}"),
        3,
    );
    cases.reject("another environment", &changed("\"prod\"", "\"dev\""), 1);
    cases.reject(
        "another object",
        &changed("cleanapp_all.sql.gz", "other_cleanapp_all.sql.gz"),
        1,
    );
    cases.reject("another size", &changed("1000", "1001"), 1);
    cases.reject("another duration", &changed("150", "15"), 1);
    cases.reject("times the wrong way round", &changed("03:00:00", "03:59:00"), 1);
    cases.reject("in the future", &changed("03:02:30", "03:02:31"), 1);
    cases.reject(
        "fields that are not there",
        &judged(r#"{"env":"","row_counts":{"reports":"many"}}"#, &known),
        7,
    );
    cases.reject("an unreadable time", &changed("2026-11-24T03:00:00Z", "03:00"), 1);
    cases.reject("no JSON", &judged("env: prod", &known), 1);
    cases.review();
}

fn contents(rows: u64, checksum: &str) -> Contents {
    let table = |rows, checksum: &str| Table {
        rows,
        checksum: checksum.to_owned(),
    };
    Contents {
        tables: [
            ("app.reports".to_owned(), table(rows, checksum)),
            ("app.tags".to_owned(), table(3, "77")),
        ]
        .into(),
        triggers: ["app.on_insert".to_owned()].into(),
        routines: ["app.tidy".to_owned()].into(),
        events: ["app.nightly".to_owned()].into(),
    }
}

#[test]
fn what_was_restored_is_what_was_dumped() {
    let mut cases = Cases::of(EQUAL);
    let source = contents(100, "1f");
    cases.accept("the same", &equal(&source, &contents(100, "1f")));
    cases.reject("one missing row", &equal(&source, &contents(99, "1e")), 1);
    cases.reject("one changed row", &equal(&source, &contents(100, "20")), 1);
    cases.reject("one row too many", &equal(&source, &contents(101, "21")), 1);
    let mut bare = contents(100, "1f");
    bare.tables.remove("app.reports");
    bare.triggers.clear();
    bare.routines.clear();
    bare.events.clear();
    cases.reject(
        "a table, a trigger, a routine, an event missing",
        &equal(&source, &bare),
        4,
    );
    cases.reject("more than there was", &equal(&bare, &source), 4);

    let whole = |bytes, last_line: &str| Unpacked::Whole {
        bytes,
        last_line: last_line.to_owned(),
    };
    cases.accept(
        "a whole archive",
        &archive("o.gz", &whole(9, "-- Dump completed on 2026-11-24  3:02:30")),
    );
    cases.reject(
        "a truncated stream",
        &archive("o.gz", &Unpacked::Truncated { after: 512 }),
        1,
    );
    let corrupted = Unpacked::Corrupted {
        after: 512,
        cause: "crc32 mismatch".to_owned(),
    };
    cases.reject("a corrupted archive", &archive("o.gz", &corrupted), 1);
    cases.reject(
        "a dump that died",
        &archive("o.gz", &whole(9, "INSERT INTO reports VALUES")),
        1,
    );
    cases.reject("an empty archive", &archive("o.gz", &whole(0, "")), 1);

    let compare = |wanted: &[(&str, u64)], found: &[(&str, u64)]| {
        counts(&by_table(wanted), &by_table(found), TOLERANCE_PCT)
    };
    let recorded = [("reports", 1_132_758), ("report_analysis", 1_299_843)];
    let restored = [("reports", 1_132_621), ("report_analysis", 1_299_706)];
    cases.accept("the recorded drill, by count", &compare(&recorded, &restored));
    cases.accept("exactly the tolerance", &compare(&[("t", 1000)], &[("t", 998)]));
    cases.accept("nothing of nothing", &compare(&[("t", 0)], &[("t", 0)]));
    cases.reject("beyond the tolerance", &compare(&[("t", 1000)], &[("t", 997)]), 1);
    cases.reject("something of nothing", &compare(&[("t", 0)], &[("t", 1)]), 1);
    cases.reject("no table", &compare(&[("t", 5)], &[]), 1);
    let by_checksum = |rows: [(&str, u64); 2], checksum: &str| Contents {
        tables: by_table(&rows)
            .into_iter()
            .map(|(name, rows)| {
                (
                    name,
                    Table {
                        rows,
                        checksum: checksum.to_owned(),
                    },
                )
            })
            .collect(),
        ..Contents::default()
    };
    let found = equal(&by_checksum(recorded, "a"), &by_checksum(restored, "b"));
    cases.reject("the recorded drill, by checksum", &found, 2);
    cases.review();
}
