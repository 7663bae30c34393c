//! Sockets that listen, as Linux tells: `/proc/net/tcp` and `tcp6`, and `ss -H -ltn`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// State of a socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read {file}: line {line}: {cause}")]
pub struct SocketError {
    file: String,
    line: usize,
    cause: String,
}

/// The listening sockets in the text of `/proc/net/tcp` or `/proc/net/tcp6`.
pub(super) fn of_proc(file: &str, text: &str) -> Result<Vec<SocketAddr>, SocketError> {
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let words: Vec<_> = line.split_whitespace().collect();
        // The heading, and empty lines.
        if words.first().is_none_or(|first| !first.ends_with(':')) {
            continue;
        }
        let bad = |cause: &str| SocketError {
            file: file.to_owned(),
            line: number,
            cause: cause.to_owned(),
        };
        let (Some(local), Some(state)) = (words.get(1), words.get(3)) else {
            return Err(bad("expected a number, two addresses and a state"));
        };
        if *state != LISTENS {
            continue;
        }
        let address =
            hex_address(local).ok_or_else(|| bad(&format!("`{local}` is no address in hexadecimal")))?;
        found.push(address);
    }
    Ok(found)
}

/// An address as the kernel writes it: words of 32 bits in the byte order of the machine, then the port.
fn hex_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let word = u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok()?;
        Some(word.to_le_bytes())
    };
    let ip: IpAddr = match address.len() {
        8 => Ipv4Addr::from(word(0)?).into(),
        32 => {
            let mut bytes = [0; 16];
            for (at, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(at)?);
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The listening sockets in the output of `ss -H -ltn`.
pub(super) fn of_ss(file: &str, text: &str) -> Result<Vec<SocketAddr>, SocketError> {
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let mut words = line.split_whitespace();
        match words.next() {
            Some("LISTEN") => {}
            _ => continue,
        }
        let local = words.nth(2).unwrap_or_default();
        let address = ss_address(local).ok_or_else(|| SocketError {
            file: file.to_owned(),
            line: number,
            cause: format!("`{local}` is no address and port"),
        })?;
        found.push(address);
    }
    Ok(found)
}

/// `127.0.0.1:80`, `[::1]:80`, `*:80`, `127.0.0.53%lo:53`.
fn ss_address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.trim_matches(['[', ']']);
    let host = host.split_once('%').map_or(host, |(host, _)| host);
    let ip = match host {
        "*" => Ipv6Addr::UNSPECIFIED.into(),
        other => other
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .ok()?
            .to_canonical(),
    };
    Some(SocketAddr::new(ip, port.parse().ok()?))
}
