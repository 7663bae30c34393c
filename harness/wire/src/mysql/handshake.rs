//! Greeting and login: what the two sides can do, and which schema the client wants.

use super::read::Reader;
use super::undecodable;
use crate::codec::Undecodable;

/// `CLIENT_LONG_PASSWORD`; MariaDB leaves it out and thereby says that its extended capabilities follow.
const MYSQL: u64 = 1;
const CONNECT_WITH_DB: u64 = 1 << 3;
const COMPRESS: u64 = 1 << 5;
const PROTOCOL_41: u64 = 1 << 9;
const SSL: u64 = 1 << 11;
const SECURE_CONNECTION: u64 = 1 << 15;
const PLUGIN_AUTH_LENENC: u64 = 1 << 21;
const DEPRECATE_EOF: u64 = 1 << 24;
const OPTIONAL_METADATA: u64 = 1 << 25;
const ZSTD: u64 = 1 << 26;
const QUERY_ATTRIBUTES: u64 = 1 << 27;
const CACHE_METADATA: u64 = 1 << 36;

/// Capability flags; MariaDB's extended ones are the upper 32 bits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Capabilities(u64);

impl Capabilities {
    /// Result sets end with an OK packet instead of EOF, and column definitions without one.
    pub(super) fn deprecate_eof(self) -> bool {
        self.0 & DEPRECATE_EOF != 0
    }

    /// MySQL: a byte before the column count says whether column definitions follow.
    pub(super) fn optional_metadata(self) -> bool {
        self.0 & OPTIONAL_METADATA != 0
    }

    /// MariaDB: a byte after the column count says whether column definitions follow.
    pub(super) fn cache_metadata(self) -> bool {
        self.0 & CACHE_METADATA != 0
    }

    /// MySQL: queries carry parameters, parameters have names.
    pub(super) fn query_attributes(self) -> bool {
        self.0 & QUERY_ATTRIBUTES != 0
    }

    fn secure_connection(self) -> bool {
        self.0 & SECURE_CONNECTION != 0
    }
}

/// Reads `HandshakeV10` and clears TLS and compression in it.
pub(super) fn greet(payload: &mut [u8]) -> Result<Capabilities, Undecodable> {
    // Behind the version's text: connection id (4), first part of the challenge (8), a zero.
    const TO_FLAGS: usize = 4 + 8 + 1;
    if payload.first() != Some(&10) {
        return Err(undecodable("a greeting of an unknown protocol version"));
    }
    let cut = || undecodable("a truncated greeting");
    let version = payload
        .iter()
        .skip(1)
        .position(|&byte| byte == 0)
        .ok_or_else(cut)?;
    let fields = payload.get_mut(version + 2 + TO_FLAGS..).ok_or_else(cut)?;
    let (lower, fields) = fields.split_first_chunk_mut::<2>().ok_or_else(cut)?;
    let mut flags = u64::from(u16::from_le_bytes(*lower)) & !(SSL | COMPRESS);
    *lower = (flags as u16).to_le_bytes();
    // Character set (1), status (2), upper flags (2), length of the challenge (1), reserved (6), extended flags (4).
    if let Some((_, fields)) = fields.split_first_chunk_mut::<3>()
        && let Some((upper, fields)) = fields.split_first_chunk_mut::<2>()
    {
        flags |= u64::from(u16::from_le_bytes(*upper)) << 16;
        flags &= !ZSTD;
        *upper = ((flags >> 16) as u16).to_le_bytes();
        if flags & MYSQL == 0 {
            let mut extended = Reader(fields);
            extended.take(7);
            flags |= u64::from(extended.u32().unwrap_or(0)) << 32;
        }
    }
    Ok(Capabilities(flags))
}

/// Reads `HandshakeResponse41`: what both sides can do, and the schema.
pub(super) fn respond(payload: &[u8], server: Capabilities) -> Result<(Capabilities, String), Undecodable> {
    // Flags (4), largest packet (4), character set (1), reserved (19), MariaDB's extended flags (4).
    const FIXED: usize = 4 + 4 + 1 + 19 + 4;
    let mut reader = Reader(payload);
    let mut flags = u64::from(reader.u32().ok_or_else(|| undecodable("a truncated login"))?);
    if flags & PROTOCOL_41 == 0 {
        return Err(undecodable("a client that speaks the protocol before 4.1"));
    }
    if flags & SSL != 0 && payload.len() <= FIXED {
        return Err(undecodable("TLS requested"));
    }
    reader.take(FIXED - 8);
    let extended = reader.u32().unwrap_or(0);
    if flags & MYSQL == 0 {
        flags |= u64::from(extended) << 32;
    }
    let agreed = Capabilities(flags & server.0);
    let schema = schema(&mut reader, flags).unwrap_or_default();
    Ok((agreed, super::shown(schema)))
}

fn schema<'a>(reader: &mut Reader<'a>, flags: u64) -> Option<&'a [u8]> {
    reader.nul_bytes()?;
    if flags & PLUGIN_AUTH_LENENC != 0 {
        reader.lenenc_bytes()?;
    } else {
        skip_proof(reader, Capabilities(flags))?;
    }
    (flags & CONNECT_WITH_DB != 0).then(|| up_to_nul(reader))
}

/// The schema in `COM_CHANGE_USER`, without its first byte.
pub(super) fn change_user(payload: &[u8], capabilities: Capabilities) -> String {
    let mut reader = Reader(payload);
    let schema = reader.nul_bytes().and_then(|_| {
        skip_proof(&mut reader, capabilities)?;
        Some(up_to_nul(&mut reader))
    });
    super::shown(schema.unwrap_or_default())
}

/// What the client answers to the challenge.
fn skip_proof(reader: &mut Reader<'_>, capabilities: Capabilities) -> Option<()> {
    if capabilities.secure_connection() {
        let length = reader.u8()?;
        reader.take(usize::from(length))?;
    } else {
        reader.nul_bytes()?;
    }
    Some(())
}

/// A string that ends with a zero or with the payload.
fn up_to_nul<'a>(reader: &mut Reader<'a>) -> &'a [u8] {
    let rest = reader.0;
    reader.nul_bytes().unwrap_or(rest)
}
