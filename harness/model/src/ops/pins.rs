//! Pins: an override, layered last, that fixes images by digest.
//!
//! Three rules. [`parses`]: Compose reads the override. [`complete`]: each service whose image is internal is pinned to a
//! digest of its own repository, after a deploy of all services and of some, and nothing else is pinned.
//! [`third_party`]: an image from elsewhere is pinned or excepted.
//!
//! What an override changes is seen by comparing what Compose makes of the files without it and with it, so it does not
//! matter how it is written. Whether the digest exists is for whoever has a registry; what runs is for
//! [`running`](super::running).

use jiff::civil::Date;

use super::compose::Config;
use super::fail;
use super::policy::{ImageException, ImagePolicy};
use crate::topology::nearest::nearest;
use crate::verdict::Finding;

/// Compose reads the override.
pub const PARSES: &str = "override-parses";
/// Every internal service is pinned, and nothing else.
pub const COMPLETE: &str = "pins-complete";
/// What comes from elsewhere is pinned or excepted.
pub const THIRD_PARTY: &str = "third-party-pinned";

/// The registry of references that name none.
const HUB: &str = "docker.io";
/// Hexadecimal digits of a digest.
const HEX: usize = 64;

/// An override, and what Compose makes of everything without and with it.
#[derive(Debug, Clone, Copy)]
pub struct Pinned<'a> {
    /// Name of the override's file.
    pub file: &'a str,
    /// The files below it.
    pub base: &'a Config,
    /// All files, the override last.
    pub merged: &'a Config,
    /// What the references of internal images begin with.
    pub internal: &'a str,
}

/// An image reference, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// Registry and name.
    pub repository: &'a str,
    /// The tag, if it has one.
    pub tag: Option<&'a str>,
    /// What stands after `@`, if it has one.
    pub digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Takes a reference apart. Any text has a repository.
    pub fn of(text: &'a str) -> Self {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is that of a port.
        let (repository, tag) = match rest.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (rest, None),
        };
        Self {
            repository,
            tag,
            digest,
        }
    }

    /// Registry and name as the engine completes them: `redis` is `docker.io/library/redis`. Two references are of the same
    /// repository if these are equal.
    pub fn full_repository(&self) -> String {
        // What stands before the first slash is a registry if it cannot be a part of a name.
        let (registry, name) = match self.repository.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (HUB, self.repository),
        };
        match registry {
            HUB | "index.docker.io" | "registry-1.docker.io" if name.contains('/') => format!("{HUB}/{name}"),
            HUB | "index.docker.io" | "registry-1.docker.io" => format!("{HUB}/library/{name}"),
            other => format!("{other}/{name}"),
        }
    }

    /// What is wrong with its digest, if anything is.
    pub fn digest_error(&self) -> Option<String> {
        let Some(digest) = self.digest else {
            return Some("it has no digest".to_owned());
        };
        let Some(hex) = digest.strip_prefix("sha256:") else {
            return Some(format!("its digest `{digest}` does not begin with sha256:"));
        };
        if let Some(odd) = hex.chars().find(|c| !matches!(c, '0'..='9' | 'a'..='f')) {
            return Some(format!("its digest has {} in it", odd.escape_debug()));
        }
        (hex.len() != HEX).then(|| format!("its digest has {} digits, expected {HEX}", hex.len()))
    }

    /// It is fixed by a digest.
    pub fn is_pinned(&self) -> bool {
        self.digest_error().is_none()
    }
}

/// Rule `override-parses`: what is wrong with an override as a file. `compose` is what Compose says of all files with it,
/// or why it refuses them.
pub fn parses(file: &str, text: &str, compose: Result<&Config, &str>) -> Vec<Finding> {
    let literal = text.lines().zip(1..).find(|(line, _)| line.contains("\\n"));
    let literal =
        literal.map(|(_, number)| format!("line {number} has a literal \\n where a line should end"));
    match (compose, literal) {
        (Err(said), literal) => {
            let why = literal.map_or(String::new(), |literal| format!("; {literal}"));
            let said = said.trim();
            vec![fail(PARSES, format!("{file}: Compose refuses it: {said}{why}"))]
        }
        // It is legal YAML within quotes, but an override that pins has no use for it.
        (Ok(_), Some(literal)) => vec![fail(PARSES, format!("{file}: {literal}"))],
        (Ok(_), None) if text.trim().is_empty() => {
            vec![fail(PARSES, format!("{file}: it is empty, expected pins"))]
        }
        (Ok(_), None) => Vec::new(),
    }
}

/// Rule `pins-complete`: services that should be pinned and are not, and pins for what is no service.
pub fn complete(pinned: &Pinned<'_>) -> Vec<Finding> {
    let Pinned {
        file,
        base,
        merged,
        internal,
    } = *pinned;
    let mut findings = Vec::new();
    let mut say = |what: String| findings.push(fail(COMPLETE, what));
    for (name, service) in &merged.services {
        let image = service.image.as_deref().unwrap_or("");
        let Some(below) = base.services.get(name) else {
            say(unknown(file, base, name));
            continue;
        };
        let wanted = below.image.as_deref().unwrap_or("");
        if !wanted.starts_with(internal) && !image.starts_with(internal) {
            continue;
        }
        let (reference, wanted) = (Reference::of(image), Reference::of(wanted));
        if reference.full_repository() != wanted.full_repository() {
            say(format!(
                "{file}: service {name} is pinned to `{image}`, which is another repository; expected {}@sha256:<{HEX} hex>",
                wanted.repository
            ));
        } else if reference.digest.is_none() {
            say(format!(
                "service {name} is not pinned: its image is `{image}` with {file} as without it; expected {}@sha256:<{HEX} hex>",
                wanted.repository
            ));
        } else if let Some(error) = reference.digest_error() {
            say(format!("{file}: service {name} is pinned to `{image}`: {error}"));
        }
    }
    for name in base
        .services
        .keys()
        .filter(|name| !merged.services.contains_key(*name))
    {
        say(format!(
            "{file}: service {name} is gone with it; expected it to be pinned"
        ));
    }
    findings
}

/// A pin for something that is no service.
fn unknown(file: &str, base: &Config, name: &str) -> String {
    if let Some(section) = base.other_section(name) {
        return format!(
            "{file}: it pins `{name}`, which stands under top-level {section}: and is no service"
        );
    }
    let hint = nearest(name, base.services.keys().map(String::as_str));
    let hint = hint.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    format!("{file}: it pins `{name}`, and there is no such service{hint}")
}

/// Rule `third-party-pinned`: images that are neither internal nor pinned, and not excepted on the day `today`.
pub fn third_party(merged: &Config, policy: &ImagePolicy, internal: &str, today: Date) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, service) in &merged.services {
        let Some(image) = service.image.as_deref() else {
            continue;
        };
        let reference = Reference::of(image);
        if image.starts_with(internal) || reference.is_pinned() {
            continue;
        }
        let excepted: Vec<_> = policy
            .exceptions
            .iter()
            .filter(|exception| exception.covers(image))
            .collect();
        if excepted.iter().any(|exception| exception.expires >= today) {
            continue;
        }
        let latest = excepted.iter().max_by_key(|exception| exception.expires);
        let why = latest.map_or_else(
            || {
                let wanted = reference.repository;
                format!("expected {wanted}@sha256:<{HEX} hex>, or an exception with owner and end")
            },
            |ended| format!("the exception of {} ended on {}", ended.owner, ended.expires),
        );
        let what = format!("service {name} runs `{image}`, which is not ours and has no pin; {why}");
        findings.push(fail(THIRD_PARTY, what));
    }
    findings
}

impl ImageException {
    /// It is about this image.
    pub fn covers(&self, image: &str) -> bool {
        let (named, reference) = (Reference::of(&self.image), Reference::of(image));
        let whole = named.tag.is_some() || named.digest.is_some();
        named.full_repository() == reference.full_repository()
            && (!whole || (named.tag, named.digest) == (reference.tag, reference.digest))
    }
}

impl ImagePolicy {
    /// The exceptions that no service of `merged` needs, in words.
    pub fn unused(&self, merged: &Config) -> Vec<String> {
        let needs = |exception: &ImageException| {
            merged.services.values().any(|service| {
                let image = service.image.as_deref().unwrap_or("");
                exception.covers(image) && !Reference::of(image).is_pinned()
            })
        };
        self.exceptions
            .iter()
            .filter(|exception| !needs(exception))
            .map(|exception| {
                format!(
                    "nobody needs the exception of {} for image {} any more",
                    exception.owner, exception.image
                )
            })
            .collect()
    }
}
