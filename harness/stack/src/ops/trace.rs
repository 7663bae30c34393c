//! What strace says of a script: processes with their arguments, and files that were opened to be written.
//!
//! The kernel tells strace of every `execve` and every opened file of the script and of all its descendants, whatever the
//! path they were called by and whether the shell does it or a program; ptrace of one's own children needs no privileges.
//! What it cannot see: shell builtins (they are no processes), what happens in other containers, and processes that the
//! script has others start for it. Pure.

use std::collections::BTreeMap;

/// What a script did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// Its processes, in the order in which they were started.
    pub processes: Vec<Process>,
    /// Paths of the files that were opened to be written, or were renamed or linked to, in the order of the first time.
    pub written: Vec<String>,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its arguments.
    pub argv: Vec<String>,
    /// Exit code; none if a signal ended it, or if it outlived the script.
    pub exit: Option<i64>,
}

/// Calls that make a file of this name from another one, or a link. strace is asked for those that the machine has.
const NAMING: [&str; 7] = [
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
];
/// Calls that open a file, perhaps to write it.
const OPENING: [&str; 4] = ["open", "openat", "openat2", "creat"];
/// Calls that execute a program.
const EXECUTING: [&str; 2] = ["execve", "execveat"];
/// Paths below these are no files.
const NO_FILES: [&str; 3] = ["/dev/", "/proc/", "/sys/"];

/// What strace has to be asked for.
pub(super) fn calls() -> String {
    let all = [&EXECUTING[..], &OPENING, &NAMING].concat();
    let all: Vec<_> = all.into_iter().map(|call| format!("?{call}")).collect();
    format!("trace={}", all.join(","))
}

/// Reads the output of `strace -f -q -y -e trace=execve,openat,..`. Lines of other kinds are skipped.
pub fn parse(text: &str) -> Trace {
    let mut trace = Trace::default();
    let mut begun = BTreeMap::<&str, String>::new();
    // A process keeps its id when it executes another program.
    let mut of_pid = BTreeMap::<&str, Vec<usize>>::new();
    for line in text.lines() {
        let Some((pid, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, start.to_owned());
            continue;
        }
        if let Some(code) = rest.strip_prefix("+++ exited with ") {
            let code = code.trim_end_matches(" +++").parse().ok();
            for index in of_pid.remove(pid).unwrap_or_default() {
                trace.processes[index].exit = code;
            }
            continue;
        }
        let resumed = rest
            .strip_prefix("<... ")
            .and_then(|rest| rest.split_once(" resumed>"));
        let call = match resumed {
            Some((_, end)) => begun.remove(pid).unwrap_or_default() + end,
            None => rest.to_owned(),
        };
        if let Some(argv) = executed(&call) {
            of_pid.entry(pid).or_default().push(trace.processes.len());
            trace.processes.push(Process { argv, exit: None });
        } else if let Some(path) = written(&call)
            && !NO_FILES.iter().any(|folder| path.starts_with(folder))
            && !trace.written.contains(&path)
        {
            trace.written.push(path);
        }
    }
    trace
}

/// The arguments of a program that was executed.
fn executed(call: &str) -> Option<Vec<String>> {
    let (name, arguments) = call.split_once('(')?;
    EXECUTING.contains(&name).then_some(())?;
    let (arguments, result) = ended(arguments)?;
    (result == "0").then_some(())?;
    // The path may be relative to an open folder, or be nothing but an open file.
    let path = if name == "execveat" {
        &arguments[arguments.find(", \"")? + 2..]
    } else {
        arguments
    };
    let (_, rest) = string(path)?;
    let mut rest = rest.strip_prefix(", [")?;
    let mut argv = Vec::new();
    while let Some((argument, after)) = string(rest) {
        argv.push(argument);
        rest = after.strip_prefix(", ").unwrap_or(after);
    }
    Some(argv)
}

/// The path of a file that was opened to be written, or that something was renamed or linked to.
fn written(call: &str) -> Option<String> {
    let (name, arguments) = call.split_once('(')?;
    let (arguments, result) = ended(arguments)?;
    if NAMING.contains(&name) {
        (result == "0").then_some(())?;
        let to = arguments.rfind(", \"")?;
        let (path, _) = string(&arguments[to + 2..])?;
        return absolute(&arguments[..to], path);
    }
    OPENING.contains(&name).then_some(())?;
    let wrote = name == "creat"
        || ["O_WRONLY", "O_RDWR", "O_CREAT"]
            .iter()
            .any(|flag| arguments.contains(flag));
    // The descriptor stands with the path that it leads to: `3</tmp/x>`.
    let (number, path) = result.split_once('<')?;
    (wrote && number.parse::<u32>().is_ok()).then_some(())?;
    let path = path.strip_suffix('>')?;
    path.starts_with('/').then(|| path.to_owned())
}

/// Arguments and result of a call that has ended; the result of one that was interrupted stands in a column of its own.
fn ended(call: &str) -> Option<(&str, &str)> {
    let (arguments, result) = call.rsplit_once(" = ")?;
    Some((arguments.trim_end().strip_suffix(')')?, result))
}

/// A renamed file's path; `before` ends with the folder that a relative one is relative to, if strace knows it.
fn absolute(before: &str, path: String) -> Option<String> {
    if path.starts_with('/') {
        return Some(path);
    }
    let folder = before.rsplit_once('<').and_then(|(_, rest)| rest.split_once('>'));
    folder.map(|(folder, _)| format!("{folder}/{path}"))
}

/// A quoted string of C at the beginning of `text`, and what follows it.
fn string(text: &str) -> Option<(String, &str)> {
    let bytes = text.as_bytes();
    (bytes.first() == Some(&b'"')).then_some(())?;
    let mut out = Vec::new();
    let mut at = 1;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((String::from_utf8_lossy(&out).into_owned(), &text[at + 1..])),
            b'\\' => {
                let next = *bytes.get(at + 1)?;
                at += 2;
                let plain = match next {
                    b'n' => b'\n',
                    b't' => b'\t',
                    b'r' => b'\r',
                    b'v' => 11,
                    b'f' => 12,
                    b'0'..=b'7' => {
                        let mut value = u32::from(next - b'0');
                        for _ in 0..2 {
                            match bytes.get(at) {
                                Some(digit @ b'0'..=b'7') => value = value * 8 + u32::from(digit - b'0'),
                                _ => break,
                            }
                            at += 1;
                        }
                        value as u8
                    }
                    other => other,
                };
                out.push(plain);
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Process, parse};

    #[test]
    fn processes_are_told_with_arguments_and_exit() {
        let text = r#"10    execve("/usr/bin/bash", ["bash", "-c", "echo \"a\"\n\303\274"], 0x7ffe /* 6 vars */) = 0
11    execve("/usr/local/bin/x", ["x"], 0x5 /* 6 vars */) = -1 ENOENT (No such file or directory)
11    execve("/usr/bin/x", ["x", "--password=p"], 0x5 /* 6 vars */ <unfinished ...>
10    openat(AT_FDCWD</root>, "y", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3</root/y>
11    <... execve resumed>)             = 0
12    execve("/usr/bin/sleep", ["sleep", "9"], 0x5 /* 6 vars */) = 0
11    +++ exited with 3 +++
12    +++ killed by SIGTERM +++
10    +++ exited with 0 +++
"#;
        let process = |argv: &[&str], exit| Process {
            argv: argv.iter().map(|one| (*one).to_owned()).collect(),
            exit,
        };
        let trace = parse(text);
        assert_eq!(
            trace.processes,
            [
                process(&["bash", "-c", "echo \"a\"\n\u{fc}"], Some(0)),
                process(&["x", "--password=p"], Some(3)),
                process(&["sleep", "9"], None),
            ]
        );
        assert_eq!(trace.written, ["/root/y"]);
    }

    #[test]
    fn files_are_those_that_were_written() {
        let text = r#"1 openat(AT_FDCWD</root>, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3</etc/passwd>
1 openat(AT_FDCWD</root>, "out", O_WRONLY|O_CREAT, 0666) = 3</root/out>
1 openat(AT_FDCWD</root>, "out", O_WRONLY|O_APPEND) = 3</root/out>
1 openat(AT_FDCWD</root>, "/dev/null", O_WRONLY) = 3</dev/null>
1 openat(AT_FDCWD</root>, "/none/x", O_WRONLY|O_CREAT, 0666) = -1 ENOENT (No such file or directory)
1 renameat2(AT_FDCWD</srv>, "a", AT_FDCWD</srv>, "b", RENAME_NOREPLACE) = 0
1 rename("/x/a", "/x/b") = 0
1 rename("/x/a", "/x/c") = -1 EXDEV (Invalid cross-device link)
"#;
        assert_eq!(parse(text).written, ["/root/out", "/srv/b", "/x/b"]);
    }

    #[test]
    fn links_and_rarer_calls_are_read_like_the_others() {
        let text = r#"1 symlinkat("a, \"b\" <c>", AT_FDCWD</srv>, "current") = 0
1 symlink("/x/a", "/x/current") = 0
1 symlink("/x/a", "/x/other") = -1 EEXIST (File exists)
1 link("/x/a", "/x/hard") = 0
1 linkat(AT_FDCWD</srv>, "/proc/self/fd/3", 4</var/lib>, "whole", AT_SYMLINK_FOLLOW) = 0
1 linkat(AT_FDCWD</srv>, "a", AT_FDCWD</srv>, "b", 0 <unfinished ...>
1 <... linkat resumed>)             = 0
1 openat2(AT_FDCWD</srv>, "new", {flags=O_WRONLY|O_CREAT|O_CLOEXEC, mode=0666, resolve=RESOLVE_BENEATH}, 24) = 3</srv/new>
1 openat2(AT_FDCWD</srv>, "old", {flags=O_RDONLY, resolve=0}, 24) = 3</srv/old>
1 creat("/x/made", 0644) = 3</x/made>
1 readlink("/x/current", "/x/a", 4096) = 4
2 execveat(AT_FDCWD</srv>, "./x, y", ["x", "--password=p, q"], 0x7ffd /* 3 vars */, 0) = 0
2 +++ exited with 0 +++
3 execveat(3</usr/bin/y>, "", ["y"], 0x7ffd /* 3 vars */, AT_EMPTY_PATH) = 0
4 execveat(3</usr/bin/y>, "", ["z"], 0x7ffd /* 3 vars */, AT_EMPTY_PATH) = -1 EACCES (Permission denied)
"#;
        let trace = parse(text);
        assert_eq!(
            trace.written,
            [
                "/srv/current",
                "/x/current",
                "/x/hard",
                "/var/lib/whole",
                "/srv/b",
                "/srv/new",
                "/x/made"
            ]
        );
        let processes: Vec<_> = trace
            .processes
            .iter()
            .map(|process| (process.argv.join(" "), process.exit))
            .collect();
        assert_eq!(
            processes,
            [("x --password=p, q".to_owned(), Some(0)), ("y".to_owned(), None)]
        );
        let asked = super::calls();
        for call in ["?execve,", "?execveat,", "?openat2,", "?linkat,", "?symlinkat"] {
            assert!(asked.contains(call), "{asked}");
        }
    }

    #[test]
    fn nonsense_is_skipped() {
        assert_eq!(
            parse("strace: Process 1 attached\n\n7 execve(\n"),
            super::Trace::default()
        );
    }
}
