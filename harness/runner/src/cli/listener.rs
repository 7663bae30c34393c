//! Output whose reader may go away before the end, as `head` does.

use std::io::{self, ErrorKind, Write};

/// Writes on as long as somebody reads. From then on nothing is written and nothing is wrong: a command does all that it
/// was asked for, and its exit code says what came of it.
pub(super) struct Listener<'a> {
    out: &'a mut dyn Write,
    gone: bool,
}

impl<'a> Listener<'a> {
    pub(super) fn new(out: &'a mut dyn Write) -> Self {
        Self { out, gone: false }
    }

    /// Writes to whoever is there; `nobody` is what it comes to where nobody is.
    fn tell<T>(&mut self, nobody: T, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
        if self.gone {
            return Ok(nobody);
        }
        match write(self.out) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.gone = true;
                Ok(nobody)
            }
            told => told,
        }
    }
}

impl Write for Listener<'_> {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.tell(text.len(), |out| out.write(text))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tell((), |out| out.flush())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, ErrorKind, Write};

    use super::Listener;

    /// Takes one text, and fails from then on.
    struct Fails(Vec<u8>, ErrorKind);

    impl Write for Fails {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                self.0.write(text)
            } else {
                Err(self.1.into())
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.1.into())
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error_and_a_full_disk_is_one() {
        for (kind, quiet) in [(ErrorKind::BrokenPipe, true), (ErrorKind::StorageFull, false)] {
            let mut out = Fails(Vec::new(), kind);
            let mut listener = Listener::new(&mut out);
            assert!(listener.write_all(b"a").is_ok());
            let after = [
                listener.write_all(b"b"),
                listener.flush(),
                listener.write_all(b"c"),
            ];
            assert!(
                after.iter().all(|told| told.is_ok() == quiet),
                "{kind}: {after:?}"
            );
            assert_eq!(out.0, b"a");
        }
    }
}
