//! A request to the engine's API, as far as the door has to understand it: its head, read and written. Pure.
//!
//! [`rights`] says what a request may do and to what, [`body`] what is in the JSON of one that makes something.

mod body;
mod rights;

pub(super) use self::body::{connected, label_body, named_volumes, volumes_from};
pub(super) use self::rights::{Kind, Object};

/// The head of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: String,
    /// Path without the version of the API, such as `/containers/create`.
    pub(super) path: String,
    version: String,
    query: Vec<(String, String)>,
    headers: Vec<(String, String)>,
}

impl Request {
    /// Reads a head, without its empty line.
    pub(super) fn parse(head: &str) -> Option<Self> {
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target) = (words.next()?, words.next()?);
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let (version, path) = match path[1.min(path.len())..].split_once('/') {
            Some((version, _)) if is_version(version) => path.split_at(version.len() + 1),
            _ => ("", path),
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let headers = lines.filter_map(|line| line.split_once(':'));
        Some(Self {
            method: method.to_owned(),
            path: path.to_owned(),
            version: version.to_owned(),
            query: pairs
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (name.to_owned(), decoded(value)))
                .collect(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
                .collect(),
        })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn set_header(&mut self, name: &str, value: &str) {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Method, path and, where it names something, the query, for the ledger.
    pub(super) fn call(&self) -> String {
        let named = self.query.iter().filter(|(name, _)| {
            ["name", "fromImage", "tag", "repo", "container", "signal"].contains(&name.as_str())
        });
        let query: Vec<_> = named.map(|(name, value)| format!("{name}={value}")).collect();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{} {}{mark}{}", self.method, self.path, query.join("&"))
    }

    /// What the query has under this name; nothing counts as absent.
    fn value(&self, wanted: &str) -> Option<&str> {
        let found = self.query.iter().find(|(name, _)| name == wanted);
        found
            .map(|(_, value)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The parts of the path, as they are written in it.
    fn parts(&self) -> Vec<&str> {
        self.path.trim_start_matches('/').split('/').collect()
    }

    /// The head again, with its empty line.
    pub(super) fn head(&self) -> String {
        let query: Vec<_> = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        let mark = if query.is_empty() { "" } else { "?" };
        let mut head = format!(
            "{} {}{}{mark}{} HTTP/1.1\r\n",
            self.method,
            self.version,
            self.path,
            query.join("&")
        );
        for (name, value) in &self.headers {
            head.extend([name.as_str(), ": ", value.as_str(), "\r\n"]);
        }
        head + "\r\n"
    }
}

/// Versions of the API, such as `v1.41`.
fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let split = text.strip_prefix('v').and_then(|rest| rest.split_once('.'));
    split.is_some_and(|(major, minor)| digits(major) && digits(minor))
}

/// Percent-decoding, RFC 3986, with `+` for a space as in forms.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        if let Some(byte) = hex {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(if *first == b'+' { b' ' } else { *first });
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte);
    text.bytes().fold(String::new(), |mut all, byte| {
        if plain(byte) {
            all.push(char::from(byte));
        } else {
            all.extend(["%", &format!("{byte:02X}")]);
        }
        all
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::Request;

    pub(super) fn request(line: &str) -> Request {
        Request::parse(&format!("{line} HTTP/1.1\r\nHost: docker\r\nContent-Length: 2")).unwrap()
    }

    pub(super) fn labels() -> BTreeMap<String, String> {
        BTreeMap::from([("a".to_owned(), "b".to_owned())])
    }

    #[test]
    fn a_head_is_written_as_it_was_read() {
        let head = "POST /v1.41/containers/create?name=x%2Fy HTTP/1.1\r\nHost: docker\r\n\r\n";
        let read = Request::parse(head.trim_end()).unwrap();
        assert_eq!(read.path, "/containers/create");
        assert_eq!(read.call(), "POST /containers/create?name=x/y");
        assert_eq!(read.head(), head.replace("%2F", "/"));
        assert_eq!(
            request("GET /_ping").head(),
            "GET /_ping HTTP/1.1\r\nHost: docker\r\nContent-Length: 2\r\n\r\n"
        );
    }
}
