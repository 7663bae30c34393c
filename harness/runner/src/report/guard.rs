//! Foreign text in the output of a step of GitHub Actions.
//!
//! The runner of a workflow reads commands from whatever a step prints: lines that begin with `::`, and `##[` anywhere.
//! A container's log could forge an error, a group or a mask. So text that is not ours is printed between commands that
//! stop all others until a word comes back that nobody can guess.
//!
//! Passwords are not masked: the harness never prints one, and a mask would have to print it first.

use std::hash::{BuildHasher, RandomState};

/// `text`, with workflow commands in it switched off.
pub(crate) fn wrapped(text: &[u8]) -> Vec<u8> {
    // The standard library draws the keys of its hash maps from the system's randomness.
    let word = || RandomState::new().hash_one(text);
    let token = format!("harness-{:016x}{:016x}", word(), word());
    let mut out = format!("::stop-commands::{token}\n").into_bytes();
    out.extend_from_slice(text);
    if !text.ends_with(b"\n") {
        out.push(b'\n');
    }
    out.extend_from_slice(format!("::{token}::\n").as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn commands_are_stopped_until_the_same_word_comes_again() {
        let text = |bytes| String::from_utf8(wrapped(bytes)).unwrap();
        let shown = text(b"::error::forged\n##[add-mask]e");
        let lines: Vec<_> = shown.lines().collect();
        let token = lines[0].strip_prefix("::stop-commands::").unwrap();
        assert_eq!(lines[1..3], ["::error::forged", "##[add-mask]e"]);
        assert_eq!(lines[3..], [format!("::{token}::")]);
        assert_ne!(text(b"a\n"), text(b"a\n"), "the word is another each time");
    }
}
