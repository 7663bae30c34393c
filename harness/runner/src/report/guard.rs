//! Foreign text in the output of a step of GitHub Actions.
//!
//! The runner of a workflow reads commands from whatever a step prints: lines that begin with `::`, and `##[` anywhere.
//! A container's log could forge an error, a group or a mask. So text that is not ours is printed between commands that
//! stop all others until a word comes back that nobody can guess. In JSON a line cannot begin like a command, and a `#`
//! can be written in another way.
//!
//! Passwords are not masked: the harness never prints one, and a mask would have to print it first.

use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};

/// `text`, with workflow commands in it switched off.
pub(crate) fn wrapped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut stopped = Stopped::new(&mut out);
    // Writing to memory cannot fail.
    drop(stopped.write_all(text));
    drop(stopped);
    out
}

/// Text as a part of a line of others, in which nothing can be taken for a command: nothing in it begins a line.
pub(crate) fn inside(text: &str) -> String {
    text.replace(['\r', '\n'], " ").replace("##[", "# #[")
}

/// Writes on, with workflow commands switched off from the first byte until this is dropped.
pub(crate) struct Stopped<'a> {
    out: &'a mut dyn Write,
    token: Option<String>,
    in_line: bool,
}

impl<'a> Stopped<'a> {
    pub(crate) fn new(out: &'a mut dyn Write) -> Self {
        Self {
            out,
            token: None,
            in_line: false,
        }
    }
}

impl Write for Stopped<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let Some(last) = text.last() else { return Ok(0) };
        if self.token.is_none() {
            // The standard library draws the keys of its hash maps from the system's randomness.
            let word = || RandomState::new().hash_one(text);
            let token = format!("harness-{:016x}{:016x}", word(), word());
            writeln!(self.out, "::stop-commands::{token}")?;
            self.token = Some(token);
        }
        self.out.write_all(text)?;
        self.in_line = *last != b'\n';
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        if let Some(token) = &self.token {
            let end = if self.in_line { "\n" } else { "" };
            // Where nobody reads any more, nobody takes commands.
            drop(writeln!(self.out, "{end}::{token}::"));
        }
    }
}

/// Writes JSON on, with another way to write `#`, which stands in strings only.
pub(crate) struct Escaped<'a>(pub(crate) &'a mut dyn Write);

impl Write for Escaped<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        for (at, part) in text.split(|byte| *byte == b'#').enumerate() {
            if at > 0 {
                self.0.write_all(b"\\u0023")?;
            }
            self.0.write_all(part)?;
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Escaped, Stopped, inside, wrapped};

    #[test]
    fn commands_are_stopped_until_the_same_word_comes_again() {
        let text = |bytes| String::from_utf8(wrapped(bytes)).unwrap();
        let shown = text(b"::error::forged\n##[add-mask]e");
        let lines: Vec<_> = shown.lines().collect();
        let token = lines[0].strip_prefix("::stop-commands::").unwrap();
        assert_eq!(lines[1..3], ["::error::forged", "##[add-mask]e"]);
        assert_eq!(lines[3..], [format!("::{token}::")]);
        assert_ne!(text(b"a\n"), text(b"a\n"), "the word is another each time");
        assert_eq!(text(b""), "");
    }

    #[test]
    fn a_writer_stops_commands_once_however_often_it_is_written_to() {
        let mut out = Vec::new();
        let mut stopped = Stopped::new(&mut out);
        for part in ["a", "::b\n", "", "c\n"] {
            stopped.write_all(part.as_bytes()).unwrap();
        }
        drop(stopped);
        let out = String::from_utf8(out).unwrap();
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[1..3], ["a::b", "c"]);
        assert_eq!(lines.len(), 4, "{out}");
    }

    #[test]
    fn json_means_the_same_and_holds_no_command() {
        let mut out = Vec::new();
        let value = serde_json::json!({"##[error]#": ["a\n##[b]", 1]});
        write!(Escaped(&mut out), "{value}").unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('#'), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        assert_eq!(inside("a ##[error]b #1"), "a # #[error]b #1");
        assert_eq!(inside("a\r::error::b\n::c"), "a ::error::b ::c");
    }
}
