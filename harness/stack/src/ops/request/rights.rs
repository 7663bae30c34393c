//! What a request may do, to what, and under which names.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Request, decoded};

/// What a request may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) enum Kind {
    /// It only looks, at everything.
    Look,
    /// It looks at, or prunes, a list that can be narrowed to what the box has made.
    Narrow,
    /// It makes something whose JSON body takes labels under this key.
    Make,
    /// It builds an image; labels are in its query.
    Build,
    /// It makes an image of a file system; labels are among the changes in its query.
    Import,
    /// It changes this object, which must be of the box's making.
    Change(Object),
    /// It puts a container of this name, which is in its JSON body, on a network or takes it off.
    Join(Object),
    /// It does something that has no owner: a pull, a push, the start of a command that was accepted before.
    Pass,
    /// It is not for an ops box, for this reason.
    Refuse(&'static str),
}

/// About everything that is on the engine.
const ENGINE: &str = "is about the engine as a whole";
/// What `docker load` and a pull of all tags have in common.
const UNTOLD: &str = "gives names to images, and nobody can tell beforehand which";

/// Something on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) enum Object {
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
    /// What it may do.
    pub(in crate::ops) fn kind(&self) -> Kind {
        let parts = self.parts();
        let owned = |part: &str| decoded(part);
        match (self.method.as_str(), parts.as_slice()) {
            ("GET", ["containers", "json"] | ["networks" | "volumes"])
            | ("POST", ["containers" | "networks" | "volumes" | "images", "prune"]) => Kind::Narrow,
            ("GET" | "HEAD" | "OPTIONS", _) => Kind::Look,
            ("POST", ["containers" | "networks" | "volumes", "create"]) => Kind::Make,
            ("POST", ["build"]) => Kind::Build,
            ("POST" | "PUT" | "DELETE", ["containers", id, ..]) => Kind::Change(Object::Container(owned(id))),
            ("POST", ["commit"]) => match self.value("container") {
                Some(id) => Kind::Change(Object::Container(id.to_owned())),
                None => Kind::Refuse("names no container"),
            },
            ("POST", ["networks", id, "connect" | "disconnect"]) => Kind::Join(Object::Network(owned(id))),
            ("POST" | "DELETE", ["networks", id, ..]) => Kind::Change(Object::Network(owned(id))),
            ("PUT" | "DELETE", ["volumes", name, ..]) => Kind::Change(Object::Volume(owned(name))),
            ("DELETE", ["images", name @ ..]) => Kind::Change(Object::Image(owned(&name.join("/")))),
            ("POST", ["images", "load"]) => Kind::Refuse(UNTOLD),
            ("POST", ["images", "create"]) => match self.pulled() {
                None => Kind::Import,
                Some(Pulled::Repository) => Kind::Refuse(UNTOLD),
                Some(_) => Kind::Pass,
            },
            ("POST", ["images" | "exec" | "auth" | "session" | "grpc", ..]) => Kind::Pass,
            _ => Kind::Refuse(ENGINE),
        }
    }

    /// The names that it gives to an image; each is taken from the image that has it.
    pub(in crate::ops) fn names(&self) -> Vec<String> {
        let parts = self.parts();
        match (self.method.as_str(), parts.as_slice()) {
            ("POST", ["images", "create"]) if self.pulled().is_some() => match self.pulled() {
                Some(Pulled::Tag(name)) => vec![name],
                _ => Vec::new(),
            },
            ("POST", ["images", .., "tag"] | ["images", "create"] | ["commit"]) => self
                .value("repo")
                .map(|repository| match self.value("tag") {
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

    /// What it pulls, as the engine reads `fromImage` and `tag`; nothing if it is no pull.
    fn pulled(&self) -> Option<Pulled> {
        let image = self.value("fromImage")?.trim_end_matches(':');
        let (repository, own) = match image.rsplit_once(':') {
            // A colon before a slash belongs to a registry's port.
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (image, None),
        };
        Some(match self.value("tag").or(own) {
            // A tag has no colon: this is a digest, and gives no name.
            _ if image.contains('@') => Pulled::Digest,
            Some(tag) if tag.contains(':') => Pulled::Digest,
            Some(tag) => Pulled::Tag(format!("{repository}:{tag}")),
            None => Pulled::Repository,
        })
    }

    /// Narrows a list to what carries the labels.
    pub(in crate::ops) fn narrow(&mut self, labels: &BTreeMap<String, String>) {
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

    /// Gives an image that is made of a file system the labels.
    pub(in crate::ops) fn label_import(&mut self, labels: &BTreeMap<String, String>) {
        let lines = labels.iter().map(|(key, value)| {
            let line = format!("LABEL {}={}", json!(key), json!(value));
            ("changes".to_owned(), line)
        });
        self.query.extend(lines);
    }

    /// Gives an image that is built the labels.
    pub(in crate::ops) fn label_build(&mut self, labels: &BTreeMap<String, String>) {
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

/// What a pull brings.
enum Pulled {
    /// An image by this name.
    Tag(String),
    /// An image without a name.
    Digest,
    /// All tags that a repository has.
    Repository,
}

#[cfg(test)]
mod tests {
    use super::super::tests::{labels, request};
    use super::{ENGINE, Kind, Object, UNTOLD};

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
            (
                "POST /networks/n/connect",
                Kind::Join(Object::Network("n".to_owned())),
            ),
            (
                "POST /networks/n/disconnect",
                Kind::Join(Object::Network("n".to_owned())),
            ),
            ("POST /images/create?fromImage=x&tag=1", Kind::Pass),
            ("POST /images/create?fromImage=x:1", Kind::Pass),
            ("POST /images/create?fromImage=x@sha256:ab", Kind::Pass),
            ("POST /images/create?fromImage=x&tag=sha256:ab", Kind::Pass),
            ("POST /images/create?fromImage=x", Kind::Refuse(UNTOLD)),
            ("POST /images/create?fromImage=r:5/x&tag=", Kind::Refuse(UNTOLD)),
            ("POST /images/create?fromImage=x:", Kind::Refuse(UNTOLD)),
            ("POST /v1.41/images/load?quiet=1", Kind::Refuse(UNTOLD)),
            ("POST /images/create?fromSrc=-&repo=a", Kind::Import),
            ("POST /images/r:5/a/push?tag=1", Kind::Pass),
            ("POST /exec/1/start", Kind::Pass),
            ("POST /volumes/prune", Kind::Narrow),
            ("POST /build", Kind::Build),
            ("POST /build/prune", Kind::Refuse(ENGINE)),
            ("POST /swarm/init", Kind::Refuse(ENGINE)),
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
            ("POST /images/create?fromImage=a&tag=1", &["a:1"]),
            ("POST /images/create?fromImage=r:5%2Fb%2Fa&tag=1", &["r:5/b/a:1"]),
            ("POST /images/create?fromImage=r:5/a:1", &["r:5/a:1"]),
            ("POST /images/create?fromImage=a:1&tag=2", &["a:2"]),
            ("POST /images/create?fromImage=a:1&tag=sha256:ab", &[]),
            ("POST /images/create?fromImage=r:5/a@sha256:ab", &[]),
            ("POST /images/create?fromImage=a&repo=b&tag=1", &["a:1"]),
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
    fn an_image_of_a_file_system_is_labelled_whatever_else_is_changed() {
        let mut read = request("POST /images/create?fromSrc=-&changes=ENV%20A=1");
        read.label_import(&labels());
        let head = read.head();
        let line = head.lines().next();
        let expected =
            "POST /images/create?fromSrc=-&changes=ENV%20A%3D1&changes=LABEL%20%22a%22%3D%22b%22 HTTP/1.1";
        assert_eq!(line, Some(expected));
    }
}
