//! Reads the basic types and field tables of AMQP 0-9-1 without copying.
//!
//! Types of table values are those that RabbitMQ speaks, which differ from the specification's: see "AMQP 0-9-1 Errata",
//! section 3. Values that nest are skipped by their length, so that no depth of nesting matters.

use std::borrow::Cow;

/// A cursor over arguments. Every read gives `None` when the arguments end early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A short string; bytes that are no UTF-8 are replaced.
    pub(super) fn short(&mut self) -> Option<Cow<'a, str>> {
        let len = self.u8()?;
        self.take(len.into()).map(String::from_utf8_lossy)
    }

    /// A long string, or the inside of a table or an array.
    pub(super) fn long(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()?;
        self.take(len as usize)
    }

    fn value(&mut self) -> Option<Value<'a>> {
        let other = |_| Value::Other;
        Some(match self.u8()? {
            b'b' => Value::Int(self.array().map(i8::from_be_bytes)?.into()),
            b'B' => Value::Int(self.u8()?.into()),
            b's' | b'U' => Value::Int(self.array().map(i16::from_be_bytes)?.into()),
            b'u' => Value::Int(self.u16()?.into()),
            b'I' => Value::Int(self.array().map(i32::from_be_bytes)?.into()),
            b'i' => Value::Int(self.u32()?.into()),
            b'l' | b'L' => Value::Int(self.array().map(i64::from_be_bytes)?),
            b'S' => Value::Text(self.long()?),
            b'F' => Value::Table(self.long()?),
            b'A' => Value::Array(self.long()?),
            b'x' => self.long().map(other)?,
            b't' => self.take(1).map(other)?,
            b'f' => self.take(4).map(other)?,
            b'd' | b'T' => self.take(8).map(other)?,
            b'D' => self.take(5).map(other)?,
            b'V' => Value::Other,
            _ => return None,
        })
    }
}

/// A table value, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Int(i64),
    Text(&'a [u8]),
    Table(&'a [u8]),
    Array(&'a [u8]),
    Other,
}

impl<'a> Value<'a> {
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        }
    }

    pub(super) fn int(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            _ => None,
        }
    }

    /// The first value of an array.
    pub(super) fn head(self) -> Option<Value<'a>> {
        match self {
            Self::Array(values) => Reader(values).value(),
            _ => None,
        }
    }
}

/// The value of `name` in the inside of a table; what follows a value of unknown type cannot be found.
pub(super) fn lookup<'a>(table: &'a [u8], name: &str) -> Option<Value<'a>> {
    let mut reader = Reader(table);
    loop {
        let len = reader.u8()?;
        let key = reader.take(len.into())?;
        let value = reader.value()?;
        if key == name.as_bytes() {
            return Some(value);
        }
    }
}

/// The properties of a message that matter here, out of its content header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Properties {
    /// Bytes of the body.
    pub(super) size: u64,
    pub(super) persistent: bool,
    pub(super) message_id: Option<String>,
    pub(super) retry: Option<i64>,
    pub(super) death: Option<String>,
}

/// Reads a content header (specification, section 2.3.5.2); `None` if it ends early.
pub(super) fn properties(payload: &[u8], retry_header: &str) -> Option<Properties> {
    let mut reader = Reader(payload);
    let (_class, _weight) = (reader.u16()?, reader.u16()?);
    let mut properties = Properties {
        size: reader.u64()?,
        ..Properties::default()
    };
    let flags = reader.u16()?;
    let has = |property: u16| flags & (1 << (15 - property)) != 0;
    // Content type and encoding.
    for property in 0..2 {
        if has(property) {
            reader.short()?;
        }
    }
    if has(2) {
        let headers = reader.long()?;
        properties.retry = lookup(headers, retry_header).and_then(Value::int);
        properties.death = death(headers);
    }
    properties.persistent = has(3) && reader.u8()? == 2;
    if has(4) {
        reader.u8()?;
    }
    // Correlation id, reply-to and expiration.
    for property in 5..8 {
        if has(property) {
            reader.short()?;
        }
    }
    if has(8) {
        properties.message_id = Some(reader.short()?.into_owned());
    }
    Some(properties)
}

/// Why a message was dead-lettered. The head of `x-death` is the latest; RabbitMQ before 3.13 has no `x-last-death-*`.
fn death(headers: &[u8]) -> Option<String> {
    let latest = || match lookup(headers, "x-death")?.head()? {
        Value::Table(death) => lookup(death, "reason")?.text(),
        _ => None,
    };
    latest().or_else(|| lookup(headers, "x-first-death-reason")?.text())
}
