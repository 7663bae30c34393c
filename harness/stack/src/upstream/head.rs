//! The head of an answer as it passes: as much of HTTP/1.1 as is needed to know where an answer ends.

/// What is known of an answer from its head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the head, with the empty line behind it.
    pub(super) bytes: usize,
    /// Bytes of the body.
    pub(super) body: usize,
    /// Status.
    pub(super) status: u16,
    /// Value of the field that was asked for.
    pub(super) mark: Option<u64>,
}

impl Head {
    /// The head at the beginning of `bytes`, if it is whole. `mark` is the name of a field, in lower case, to read a number
    /// from. A head that lacks a status or has a bad length ends nowhere: it is none.
    pub(super) fn read(bytes: &[u8], mark: &str) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&bytes[..end]).ok()?;
        let (first, fields) = text.split_once("\r\n")?;
        let status = first.split(' ').nth(1)?.parse().ok()?;
        let field = |wanted: &str| {
            fields
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim())
        };
        let body = field("content-length").map_or(Some(0), |length| length.parse().ok())?;
        Some(Self {
            bytes: end,
            body,
            status,
            mark: field(mark).and_then(|mark| mark.parse().ok()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Head;

    #[test]
    fn a_whole_head_is_read() {
        let read = |text: &str| Head::read(text.as_bytes(), "x-n");
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-N: 12\r\n\r\nabc";
        let head = read(text).unwrap();
        assert_eq!(
            (head.bytes + 3, head.body, head.status, head.mark),
            (text.len(), 3, 200, Some(12))
        );
        let head = read("HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        assert_eq!(
            (head.bytes, head.body, head.status, head.mark),
            (25, 0, 100, None)
        );
        for part in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n"] {
            assert_eq!(read(part), None, "{part:?}");
        }
        for bad in [
            "HTTP/1.1\r\n\r\n",
            "HTTP/1.1 two\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
