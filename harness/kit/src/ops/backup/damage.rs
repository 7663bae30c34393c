//! Ways in which a dump and its metadata come to harm.
//!
//! Each starts from a good pair that was put aside, and is done in the box with the object store's own command. What is
//! damaged fits in every other respect: a dump from which a row was taken is a whole archive, and its metadata has its size.

/// One way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// One row is not in the dump.
    MissingRow,
    /// One character of one row is another.
    ChangedRow,
    /// The archive ends half way.
    CutOff,
    /// A byte in the middle of the archive is another.
    Corrupted,
    /// The archive is whole, the dump in it ends half way.
    NoEnd,
    /// The dump is not there.
    NoDump,
    /// The metadata is not there.
    NoMetadata,
    /// The metadata cannot be read.
    Unreadable,
    /// The metadata is of a dump of another size.
    OtherSize,
    /// The metadata is of another environment.
    OtherEnvironment,
    /// The metadata counts far more rows than there are.
    OtherCounts,
    /// The metadata counts no row in any table.
    EmptyCounts,
    /// The metadata counts nothing.
    NoCounts,
}

/// What the lines of a damage can use: the objects `$dump` and `$metadata`, the good pair `$good_dump` and
/// `$good_metadata`.
const WORDS: &str = r#"
set -euo pipefail
sql() { gsutil cat "$good_dump" | gzip -dc; }
archive() { gsutil -q cp "$good_dump" /tmp/archive && wc -c </tmp/archive; }
describe() { gsutil cat "$good_metadata" | jq "$1" | gsutil -q cp - "$metadata"; }
store() {
    gzip -c | gsutil -q cp - "$dump"
    describe ".size_bytes = $(gsutil stat "$dump" | sed -n 's/^ *Content-Length: *//p')"
}
gsutil -q cp "$good_dump" "$dump"
gsutil -q cp "$good_metadata" "$metadata"
"#;

impl Damage {
    /// What can happen to a dump.
    pub const OF_DUMP: [Self; 6] = [
        Self::MissingRow,
        Self::ChangedRow,
        Self::CutOff,
        Self::Corrupted,
        Self::NoEnd,
        Self::NoDump,
    ];
    /// What can happen to its metadata.
    pub const OF_METADATA: [Self; 7] = [
        Self::NoMetadata,
        Self::Unreadable,
        Self::OtherSize,
        Self::OtherEnvironment,
        Self::OtherCounts,
        Self::EmptyCounts,
        Self::NoCounts,
    ];

    /// What it is called in reports and goldens.
    pub fn word(self) -> &'static str {
        match self {
            Self::MissingRow => "missing row",
            Self::ChangedRow => "changed row",
            Self::CutOff => "archive cut off",
            Self::Corrupted => "archive corrupted",
            Self::NoEnd => "dump without an end",
            Self::NoDump => "no dump",
            Self::NoMetadata => "no metadata",
            Self::Unreadable => "unreadable metadata",
            Self::OtherSize => "metadata of another size",
            Self::OtherEnvironment => "metadata of another environment",
            Self::OtherCounts => "other counts",
            Self::EmptyCounts => "empty counts",
            Self::NoCounts => "no counts",
        }
    }

    /// What does it, from a good pair.
    fn lines(self) -> &'static str {
        match self {
            // Each row of a dump is on a line of its own. It is a row of the last table: where that is a large one, the
            // count alone does not tell.
            Self::MissingRow => {
                r"sql | tac | LC_ALL=C awk '!lost && /^\(.*\),$/ { lost = 1; next } { print }' | tac | store"
            }
            Self::ChangedRow => {
                r#"sql | LC_ALL=C awk "!done && /^\(/ && sub(/,'[^']/, \",'#\") { done = 1 } { print }" | store"#
            }
            Self::CutOff => r#"size=$(archive); head -c $((size / 2)) /tmp/archive | gsutil -q cp - "$dump""#,
            Self::Corrupted => {
                r#"size=$(archive)
                   python3 -c 'import sys
path, at = "/tmp/archive", int(sys.argv[1])
with open(path, "r+b") as archive:
    archive.seek(at)
    byte = archive.read(1)[0]
    archive.seek(at)
    archive.write(bytes([byte ^ 0xFF]))' $((size / 2))
                   gsutil -q cp /tmp/archive "$dump""#
            }
            Self::NoEnd => "sql >/tmp/sql; head -n $(($(wc -l </tmp/sql) / 2)) /tmp/sql | store",
            Self::NoDump => r#"gsutil -q rm "$dump""#,
            Self::NoMetadata => r#"gsutil -q rm "$metadata""#,
            Self::Unreadable => r#"printf '{"env": ' | gsutil -q cp - "$metadata""#,
            Self::OtherSize => "describe '.size_bytes += 1'",
            Self::OtherEnvironment => r#"describe '.env = "elsewhere"'"#,
            Self::OtherCounts => "describe '.row_counts[] += 1000'",
            Self::EmptyCounts => "describe '.row_counts[] = 0'",
            Self::NoCounts => "describe 'del(.row_counts)'",
        }
    }

    /// The shell script that does it to the objects of these names.
    pub(super) fn script(self, dump: &str, metadata: &str) -> String {
        format!(
            "dump='{dump}' metadata='{metadata}'\n\
             good_dump=\"$dump.good\" good_metadata=\"$metadata.good\"{WORDS}{}\n",
            self.lines()
        )
    }
}

/// The shell script that puts a good pair aside; with `back`, that makes it the current one again.
pub(super) fn keep(dump: &str, metadata: &str, back: bool) -> String {
    let pairs = [dump, metadata].map(|name| {
        if back {
            format!("gsutil -q cp '{name}.good' '{name}'")
        } else {
            format!("gsutil -q cp '{name}' '{name}.good'")
        }
    });
    pairs.join(" && ")
}
