//! `harness review`: goldens that came out otherwise, one after the other, for a person to decide.
//!
//! A run without `CI` leaves the new value of a golden that differs beside the old one, as insta does: `NAME.snap.new`.
//! Accepting puts it in the old one's place, without the line that only the comparison needed; rejecting removes it.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};

use camino::{Utf8Path, Utf8PathBuf};
use similar::TextDiff;

use super::args::ReviewArgs;
use super::unwritable;
use crate::exit::{Exit, Refusal};
use crate::kit::Commands;
use crate::report::scene::plain;

/// The ending of a value that is to be decided on.
const PENDING: &str = ".snap.new";
/// What insta notes in a pending value's head for itself.
const NOTED: &str = "assertion_line:";
/// Lines around a change.
const AROUND: usize = 3;

/// What becomes of a pending value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Decision {
    Accept,
    Reject,
    Skip,
    /// Skip this one and all that follow.
    Quit,
}

pub(super) fn run<K: Commands>(kit: &K, args: &ReviewArgs, out: &mut dyn Write) -> Result<Exit, Refusal> {
    let fixed = match (args.accept, args.reject) {
        (true, _) => Some(Decision::Accept),
        (_, true) => Some(Decision::Reject),
        // Nobody is there to be asked.
        _ => (!io::stdin().is_terminal()).then_some(Decision::Skip),
    };
    review(&kit.sources(), &args.filters, fixed, &mut io::stdin().lock(), out)
}

/// Shows each pending value below `root` and does what is decided; asks where nothing is `fixed`.
fn review(
    root: &Utf8Path,
    filters: &[String],
    fixed: Option<Decision>,
    answers: &mut dyn BufRead,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let mut pending = Vec::new();
    find(root, &mut pending).map_err(|error| Refusal::config(format!("look for goldens: {error}")))?;
    pending.sort();
    let wanted = |path: &Utf8PathBuf| {
        let name = path.strip_prefix(root).unwrap_or(path).as_str();
        filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
    };
    pending.retain(wanted);
    let mut counts = [0_usize; 3];
    let mut decided = fixed;
    for new in &pending {
        let old = new.with_extension("");
        let name = old.strip_prefix(root).unwrap_or(&old);
        let read = |path: &Utf8Path| fs::read_to_string(path);
        let after = read(new).map_err(|error| Refusal::config(format!("read {new}: {error}")))?;
        let before = match read(&old) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Refusal::config(format!("read {old}: {error}"))),
        };
        if decided != Some(Decision::Quit) {
            write!(out, "{name}\n{}", difference(&before, &after)).map_err(unwritable)?;
        }
        let decision = match decided {
            Some(decision) => decision,
            None => ask(answers, out)?,
        };
        let failed = |what: &str, error: io::Error| Refusal::config(format!("{what} {old}: {error}"));
        match decision {
            Decision::Accept => {
                // Written beside and moved, so that the golden is never half there.
                fs::write(new, without_note(&after)).map_err(|error| failed("write", error))?;
                fs::rename(new, &old).map_err(|error| failed("replace", error))?;
                counts[0] += 1;
            }
            Decision::Reject => {
                fs::remove_file(new).map_err(|error| failed("reject the new value of", error))?;
                counts[1] += 1;
            }
            Decision::Skip => counts[2] += 1,
            Decision::Quit => {
                decided = Some(Decision::Quit);
                counts[2] += 1;
            }
        }
    }
    let [accepted, rejected, left] = counts;
    let told = if pending.is_empty() {
        "no golden waits for a decision".to_owned()
    } else {
        format!("{accepted} accepted, {rejected} rejected, {left} left")
    };
    writeln!(out, "{told}").map_err(unwritable)?;
    Ok(if left == 0 { Exit::Passed } else { Exit::Failed })
}

/// Pending values below a folder, but not in what is built or hidden.
fn find(folder: &Utf8Path, found: &mut Vec<Utf8PathBuf>) -> io::Result<()> {
    for entry in folder.read_dir_utf8()? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if entry.file_type()?.is_dir() {
            if !name.starts_with('.') && name != "target" {
                find(path, found)?;
            }
        } else if name.ends_with(PENDING) {
            found.push(path.to_owned());
        }
    }
    Ok(())
}

/// Head and value of a golden.
fn parts(text: &str) -> (&str, &str) {
    text.strip_prefix("---\n")
        .and_then(|rest| rest.split_once("---\n"))
        .unwrap_or(("", text))
}

fn without_note(text: &str) -> String {
    let (head, value) = parts(text);
    let mut kept = String::from("---\n");
    for line in head.lines().filter(|line| !line.starts_with(NOTED)) {
        _ = writeln!(kept, "{line}");
    }
    kept + "---\n" + value
}

/// The values' difference; what a service has written does not get to the terminal as it is.
fn difference(before: &str, after: &str) -> String {
    let (before, after) = (parts(before).1, parts(after).1);
    let difference = TextDiff::from_lines(before, after);
    let hunks = difference.unified_diff().context_radius(AROUND).to_string();
    let mut text = String::new();
    for line in hunks.lines() {
        _ = writeln!(text, "  {}", plain(line));
    }
    text
}

fn ask(answers: &mut dyn BufRead, out: &mut dyn Write) -> Result<Decision, Refusal> {
    loop {
        write!(out, "accept, reject, skip or quit? [a/r/s/q] ").map_err(unwritable)?;
        out.flush().map_err(unwritable)?;
        let mut line = String::new();
        let read = answers
            .read_line(&mut line)
            .map_err(|error| Refusal::config(format!("read the answer: {error}")))?;
        match (read, line.trim()) {
            (0, _) | (_, "q" | "quit") => return Ok(Decision::Quit),
            (_, "a" | "accept") => return Ok(Decision::Accept),
            (_, "r" | "reject") => return Ok(Decision::Reject),
            (_, "s" | "skip") => return Ok(Decision::Skip),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use camino::Utf8Path;

    use super::{Decision, review};
    use crate::exit::Exit;

    const OLD: &str = "---\nsource: kit\n---\none\ntwo\n";
    const NEW: &str = "---\nsource: kit\nassertion_line: 7\n---\none\nthree\u{1b}[2J\n";
    const ACCEPTED: &str = "---\nsource: kit\n---\none\nthree\u{1b}[2J\n";

    /// Reviews two pending values, of which one has no golden yet; gives exit, words, and what is there afterwards.
    fn reviewed(
        filter: &[&str],
        fixed: Option<Decision>,
        answers: &str,
    ) -> (Exit, String, Vec<(String, String)>) {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        for inner in ["golden/a", "target"] {
            fs::create_dir_all(root.join(inner)).unwrap();
        }
        for (name, text) in [
            ("golden/a/old.snap", OLD),
            ("golden/a/old.snap.new", NEW),
            ("golden/fresh.snap.new", NEW),
            ("target/built.snap.new", NEW),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        let filter: Vec<_> = filter.iter().map(|word| (*word).to_owned()).collect();
        let mut out = Vec::new();
        let exit = review(root, &filter, fixed, &mut answers.as_bytes(), &mut out).unwrap();
        let mut left = Vec::new();
        for name in [
            "golden/a/old.snap",
            "golden/a/old.snap.new",
            "golden/fresh.snap",
            "golden/fresh.snap.new",
        ] {
            if let Ok(text) = fs::read_to_string(root.join(name)) {
                left.push((name.to_owned(), text));
            }
        }
        assert!(root.join("target/built.snap.new").exists());
        (exit, String::from_utf8(out).unwrap(), left)
    }

    fn of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn each_is_shown_and_decided() {
        let (exit, said, left) = reviewed(&[], None, "what?\na\nr\n");
        assert_eq!(exit, Exit::Passed);
        assert_eq!(left, of(&[("golden/a/old.snap", ACCEPTED)]));
        assert!(said.contains("-two") && said.contains("+three"), "{said}");
        assert!(
            !said.contains('\u{1b}'),
            "nothing reaches the terminal as it is: {said:?}"
        );
        assert!(said.ends_with("1 accepted, 1 rejected, 0 left\n"), "{said}");
    }

    #[test]
    fn what_nobody_decides_stays() {
        for (fixed, answers) in [(Some(Decision::Skip), ""), (None, "q\n"), (None, "")] {
            let (exit, said, left) = reviewed(&[], fixed, answers);
            assert_eq!(exit, Exit::Failed);
            assert_eq!(left.len(), 3, "{said}");
            assert!(said.ends_with("0 accepted, 0 rejected, 2 left\n"), "{said}");
        }
    }

    #[test]
    fn all_of_a_name_are_decided_at_once() {
        let (exit, said, left) = reviewed(&["fresh"], Some(Decision::Accept), "");
        assert_eq!(exit, Exit::Passed, "{said}");
        assert_eq!(left[2], ("golden/fresh.snap".to_owned(), ACCEPTED.to_owned()));
        assert_eq!(
            left[..2],
            of(&[("golden/a/old.snap", OLD), ("golden/a/old.snap.new", NEW)])
        );
        let (_, said, _) = reviewed(&["nothing"], None, "");
        assert_eq!(said, "no golden waits for a decision\n");
    }
}
