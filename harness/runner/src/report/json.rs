//! One JSON object a line for each event, for programs.

use std::io::{self, Write};

use super::{Event, Reporter};

/// Writes events as JSON lines.
#[derive(Debug)]
pub struct Json<W>(pub W);

impl<W: Write> Reporter for Json<W> {
    fn show(&mut self, event: &Event) -> io::Result<()> {
        serde_json::to_writer(&mut self.0, event)?;
        self.0.write_all(b"\n")?;
        self.0.flush()
    }
}
