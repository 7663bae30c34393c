//! A request to the engine's API, as far as the door has to understand it. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

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

/// What a request may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only looks, at everything.
    Look,
    /// It looks at, or prunes, a list that can be narrowed to what the box has made.
    Narrow,
    /// It makes something whose JSON body takes labels under this key.
    Make,
    /// It builds an image; labels are in its query.
    Build,
    /// It changes this object, which must be of the box's making.
    Change(Object),
    /// It does something that has no owner: a pull, a push, the start of a command that was accepted before.
    Pass,
    /// It is about the engine as a whole.
    Refuse,
}

/// Something on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Object {
    Container(String),
    Network(String),
    Volume(String),
    Image(String),
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (kind, name) = match self {
            Self::Container(name) => ("container", name),
            Self::Network(name) => ("network", name),
            Self::Volume(name) => ("volume", name),
            Self::Image(name) => ("image", name),
        };
        write!(f, "{kind} {name}")
    }
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

    /// What it may do.
    pub(super) fn kind(&self) -> Kind {
        let parts: Vec<_> = self.path.trim_start_matches('/').split('/').collect();
        let owned = |part: &str| decoded(part);
        match (self.method.as_str(), parts.as_slice()) {
            ("GET", ["containers", "json"] | ["networks" | "volumes"])
            | ("POST", ["containers" | "networks" | "volumes" | "images", "prune"]) => Kind::Narrow,
            ("GET" | "HEAD" | "OPTIONS", _) => Kind::Look,
            ("POST", ["containers" | "networks" | "volumes", "create"]) => Kind::Make,
            ("POST", ["build"]) => Kind::Build,
            ("POST" | "PUT" | "DELETE", ["containers", id, ..]) => Kind::Change(Object::Container(owned(id))),
            ("POST", ["commit"]) => match self.query.iter().find(|(name, _)| name == "container") {
                Some((_, id)) => Kind::Change(Object::Container(id.clone())),
                None => Kind::Refuse,
            },
            ("POST" | "DELETE", ["networks", id, ..]) => Kind::Change(Object::Network(owned(id))),
            ("PUT" | "DELETE", ["volumes", name, ..]) => Kind::Change(Object::Volume(owned(name))),
            ("DELETE", ["images", name @ ..]) => Kind::Change(Object::Image(owned(&name.join("/")))),
            ("POST", ["images" | "exec" | "auth" | "session" | "grpc", ..]) => Kind::Pass,
            _ => Kind::Refuse,
        }
    }

    /// The names that it gives to an image; each is taken from the image that has it.
    pub(super) fn names(&self) -> Vec<String> {
        let parts: Vec<_> = self.path.trim_start_matches('/').split('/').collect();
        let value = |wanted: &str| {
            let found = self.query.iter().find(|(name, _)| name == wanted);
            found
                .map(|(_, value)| value.as_str())
                .filter(|value| !value.is_empty())
        };
        match (self.method.as_str(), parts.as_slice()) {
            ("POST", ["images", .., "tag"] | ["images", "create"] | ["commit"]) => value("repo")
                .map(|repository| match value("tag") {
                    Some(tag) => format!("{repository}:{tag}"),
                    None => repository.to_owned(),
                })
                .into_iter()
                .collect(),
            ("POST", ["build"]) => {
                let given = self.query.iter().filter(|(name, _)| name == "t");
                given.map(|(_, value)| value.clone()).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Narrows a list to what carries the labels.
    pub(super) fn narrow(&mut self, labels: &BTreeMap<String, String>) {
        let at = self.query.iter().position(|(name, _)| name == "filters");
        let mut filters: Map<String, Value> = at
            .and_then(|at| serde_json::from_str(&self.query[at].1).ok())
            .unwrap_or_default();
        // Both forms are in use, {"label": ["a=b"]} and {"label": {"a=b": true}}; engines do not take a mixture.
        let set = |value: &Value| match value {
            Value::Array(list) => json!(
                list.iter()
                    .filter_map(|one| Some((one.as_str()?.to_owned(), true)))
                    .collect::<BTreeMap<_, _>>()
            ),
            other => other.clone(),
        };
        for value in filters.values_mut() {
            *value = set(value);
        }
        if let Some(all) = filters
            .entry("label")
            .or_insert_with(|| json!({}))
            .as_object_mut()
        {
            all.extend(
                labels
                    .iter()
                    .map(|(key, value)| (format!("{key}={value}"), json!(true))),
            );
        }
        let text = Value::Object(filters).to_string();
        match at {
            Some(at) => self.query[at].1 = text,
            None => self.query.push(("filters".to_owned(), text)),
        }
    }

    /// Gives an image that is built the labels.
    pub(super) fn label_build(&mut self, labels: &BTreeMap<String, String>) {
        let at = self.query.iter().position(|(name, _)| name == "labels");
        let mut all: BTreeMap<String, String> = at
            .and_then(|at| serde_json::from_str(&self.query[at].1).ok())
            .unwrap_or_default();
        all.extend(labels.clone());
        let text = json!(all).to_string();
        match at {
            Some(at) => self.query[at].1 = text,
            None => self.query.push(("labels".to_owned(), text)),
        }
    }
}

/// Gives what a body makes the labels.
pub(super) fn label_body(body: &[u8], labels: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    let mut body: Value = serde_json::from_slice(body).ok()?;
    let object = body.as_object_mut()?;
    let all = object.entry("Labels").or_insert_with(|| json!({}));
    if all.is_null() {
        *all = json!({});
    }
    let all = all.as_object_mut()?;
    all.extend(labels.iter().map(|(key, value)| (key.clone(), json!(value))));
    serde_json::to_vec(&body).ok()
}

/// The named volumes that a container to be made mounts: the engine would make those that are missing without a label.
pub(super) fn named_volumes(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let host = &body["HostConfig"];
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let binds = list(&host["Binds"]).into_iter().filter_map(|bind| {
        let source = bind.as_str()?.split(':').next()?.to_owned();
        bind.as_str()?.contains(':').then_some(source)
    });
    let mounts = list(&host["Mounts"]).into_iter().filter_map(|mount| {
        let named = mount["Type"] == "volume";
        named.then(|| mount["Source"].as_str().map(str::to_owned))?
    });
    let mut names: Vec<_> = binds
        .chain(mounts)
        .filter(|name| !name.is_empty() && !name.starts_with(['/', '.', '~']))
        .collect();
    names.sort();
    names.dedup();
    names
}

/// The containers whose volumes a container to be made mounts.
pub(super) fn volumes_from(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let list = body["HostConfig"]["VolumesFrom"].as_array();
    let names = list.into_iter().flatten().filter_map(Value::as_str);
    names
        .map(|name| name.split(':').next().unwrap_or(name).to_owned())
        .collect()
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

    use super::{Kind, Object, Request, label_body, named_volumes, volumes_from};

    fn request(line: &str) -> Request {
        Request::parse(&format!("{line} HTTP/1.1\r\nHost: docker\r\nContent-Length: 2")).unwrap()
    }

    fn labels() -> BTreeMap<String, String> {
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

    #[test]
    fn each_call_is_of_one_kind() {
        let container = |id: &str| Kind::Change(Object::Container(id.to_owned()));
        for (line, kind) in [
            ("GET /v1.41/containers/json?all=1", Kind::Narrow),
            ("GET /containers/x/json", Kind::Look),
            ("GET /networks", Kind::Narrow),
            ("GET /networks/x", Kind::Look),
            ("POST /containers/create", Kind::Make),
            ("POST /volumes/create", Kind::Make),
            ("POST /v1.41/containers/x/kill?signal=TERM", container("x")),
            ("POST /containers/x/exec", container("x")),
            ("PUT /containers/x/archive", container("x")),
            ("DELETE /containers/x?force=1", container("x")),
            ("POST /commit?container=x", container("x")),
            (
                "DELETE /networks/n",
                Kind::Change(Object::Network("n".to_owned())),
            ),
            ("DELETE /volumes/v", Kind::Change(Object::Volume("v".to_owned()))),
            (
                "DELETE /images/r:5/a/b:1",
                Kind::Change(Object::Image("r:5/a/b:1".to_owned())),
            ),
            ("POST /images/create?fromImage=x", Kind::Pass),
            ("POST /exec/1/start", Kind::Pass),
            ("POST /volumes/prune", Kind::Narrow),
            ("POST /build", Kind::Build),
            ("POST /build/prune", Kind::Refuse),
            ("POST /swarm/init", Kind::Refuse),
        ] {
            assert_eq!(request(line).kind(), kind, "{line}");
        }
    }

    #[test]
    fn names_that_are_given_to_images_are_known() {
        for (line, names) in [
            ("POST /v1.41/images/a%2Fb/tag?repo=redis&tag=7", &["redis:7"][..]),
            ("POST /images/r:5/a/b:1/tag?repo=r:5/c", &["r:5/c"]),
            ("POST /images/sha256:ab/tag?tag=7", &[]),
            ("POST /build?t=a:1&q=1&t=b", &["a:1", "b"]),
            ("POST /build", &[]),
            ("POST /commit?container=x&repo=a&tag=1", &["a:1"]),
            ("POST /commit?container=x", &[]),
            ("POST /images/create?fromSrc=-&repo=a&tag=1", &["a:1"]),
            ("POST /images/create?fromImage=a&tag=1", &[]),
            ("POST /images/tag/push", &[]),
            ("DELETE /images/a/tag?repo=b", &[]),
            ("GET /images/a/tag?repo=b", &[]),
        ] {
            assert_eq!(request(line).names(), names, "{line}");
        }
    }

    #[test]
    fn a_list_is_narrowed_whatever_the_form_of_its_filters() {
        for (filters, expected) in [
            ("", r#"{"label":{"a=b":true}}"#),
            (
                r#"?filters={"label":["c"]}"#,
                r#"{"label":{"a=b":true,"c":true}}"#,
            ),
            (
                r"?filters=%7B%22label%22%3A%7B%22c%22%3Atrue%7D%7D",
                r#"{"label":{"a=b":true,"c":true}}"#,
            ),
            (
                r#"?all=1&filters={"name":["x"]}"#,
                r#"{"label":{"a=b":true},"name":{"x":true}}"#,
            ),
        ] {
            let mut read = request(&format!("GET /containers/json{filters}"));
            read.narrow(&labels());
            assert_eq!(read.query.last().unwrap().1, expected);
        }
    }

    #[test]
    fn what_is_made_is_labelled() {
        let labelled =
            |body: &str| String::from_utf8(label_body(body.as_bytes(), &labels()).unwrap()).unwrap();
        assert_eq!(
            labelled(r#"{"Image":"x"}"#),
            r#"{"Image":"x","Labels":{"a":"b"}}"#
        );
        assert_eq!(labelled(r#"{"Labels":null}"#), r#"{"Labels":{"a":"b"}}"#);
        assert_eq!(
            labelled(r#"{"Labels":{"a":"x","c":"d"}}"#),
            r#"{"Labels":{"a":"b","c":"d"}}"#
        );
        assert_eq!(label_body(b"[]", &labels()), None);
    }

    #[test]
    fn volumes_that_a_container_would_make_are_known() {
        let body = r#"{"HostConfig":{"Binds":["data:/x","/etc:/y:ro"],"Mounts":[{"Type":"volume","Source":"more"},
            {"Type":"bind","Source":"/a"},{"Type":"volume"}]}}"#;
        assert_eq!(named_volumes(body.as_bytes()), ["data", "more"]);
        assert!(named_volumes(b"{}").is_empty());
        let body = r#"{"HostConfig":{"VolumesFrom":["theirs:ro","ours"]}}"#;
        assert_eq!(volumes_from(body.as_bytes()), ["theirs", "ours"]);
        assert!(volumes_from(b"{}").is_empty());
    }
}
