//! Images by role: where each comes from, and making it if nobody has it.
//!
//! A role's image is looked for in this order: an explicit override; what the engine has already; its registry; a build
//! from Debian packages, which needs no registry. What is built is tagged by a hash of everything that went into it, so it
//! is built once, and an image that is out of date is never found. Concurrent builds of one image, also by other
//! processes, wait for each other.
//!
//! Not done here: logging in to registries, choosing a platform other than the engine's, and removing images.

mod debian;
mod pipeline;
mod recipe;
mod resolve;
mod spec;

use std::collections::BTreeMap;
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

pub use self::recipe::{Recipe, RecipeError};
pub use self::resolve::{all_present, resolve_all};
pub use self::spec::{ImageSpec, PIPELINE_IMAGE, parse_override};

/// Label of every image built here; its value is the role.
pub const ROLE_LABEL: &str = "harness.role";
/// Beginning of the labels that say which version of a package an image built here contains.
const PACKAGE_LABEL: &str = "harness.package.";

/// Where the recipes are and where state may be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePaths {
    /// Root of the workspace: it contains `fixtures/images` and `fixtures/pipeline`.
    pub workspace: Utf8PathBuf,
    /// Folder for locks and downloaded tools; created if missing, shared by all processes of this user.
    pub state: Utf8PathBuf,
    /// Folder for unpacked root file systems, about 1 GB during a build; in memory if possible, because package managers
    /// wait for the disk most of the time. `None` chooses.
    pub scratch: Option<Utf8PathBuf>,
}

impl ImagePaths {
    /// The paths of a workspace, with its state in `state`.
    pub fn new(workspace: impl Into<Utf8PathBuf>, state: impl Into<Utf8PathBuf>) -> Self {
        Self {
            workspace: workspace.into(),
            state: state.into(),
            scratch: None,
        }
    }

    fn recipe(&self, name: &str) -> Utf8PathBuf {
        self.workspace.join("fixtures/images").join(name)
    }
}

/// Which routes may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All of them, in order.
    #[default]
    Auto,
    /// Upstream images only, from the engine or their registry. What has no upstream is built.
    Registry,
    /// Images built from Debian packages only, from the engine or built now. What has no recipe is looked for in the
    /// engine.
    Debian,
    /// What the engine has, and nothing else.
    Local,
}

/// The way by which an image was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Route {
    /// Named by the caller.
    Override,
    /// The engine had it.
    Local,
    /// Pulled.
    Registry,
    /// Built.
    Built,
}

/// Whose conventions an image follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Flavor {
    /// Built from a recipe of this repository: the administrator is `HARNESS_USER` with `HARNESS_PASSWORD`.
    Ours,
    /// Its makers': `RABBITMQ_DEFAULT_USER`, `MYSQL_ROOT_PASSWORD` and so on.
    Upstream,
}

/// An image that the engine has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// Role.
    pub role: String,
    /// Reference to start containers from.
    pub reference: String,
    /// Id, `sha256:` and 64 hex digits.
    pub id: String,
    /// `repository@sha256:..` of each registry it came from; none for what was built here.
    pub repo_digests: Vec<String>,
    /// How it was found.
    pub route: Route,
    /// Whose conventions it follows.
    pub flavor: Flavor,
    /// Versions by name of package, as far as the image says.
    pub versions: BTreeMap<String, String>,
}

/// No image for one or more roles.
#[derive(Debug, thiserror::Error)]
#[error("{}", .missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ImageError {
    /// Each role without an image.
    pub missing: Vec<MissingImage>,
}

/// No image for a role, with every route that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingImage {
    /// Role.
    pub role: String,
    /// Routes tried, in order, each with the reason why it led nowhere.
    pub tried: Vec<Tried>,
}

/// One route that led nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The route, with the reference.
    pub route: String,
    /// Why.
    pub why: String,
}

impl fmt::Display for MissingImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no image for role `{}`", self.role)?;
        for tried in &self.tried {
            write!(f, "\n  {}: {}", tried.route, tried.why)?;
        }
        write!(f, "\n  hint: name one with --image {}=REFERENCE", self.role)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Registry => "registry",
            Self::Debian => "debian",
            Self::Local => "local",
        })
    }
}

impl std::str::FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Auto, Self::Registry, Self::Debian, Self::Local]
            .into_iter()
            .find(|mode| mode.to_string() == text)
            .ok_or_else(|| format!("unknown image mode `{text}`; known: auto, registry, debian, local"))
    }
}

/// Reads a file for a recipe or a hash.
fn read(path: &Utf8Path) -> Result<Vec<u8>, RecipeError> {
    std::fs::read(path).map_err(|error| RecipeError {
        path: path.to_owned(),
        cause: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::{ImageError, MissingImage, Mode, Tried};

    #[test]
    fn an_error_lists_every_route_and_why_it_failed() {
        let tried = |route: &str, why: &str| Tried {
            route: route.to_owned(),
            why: why.to_owned(),
        };
        let error = ImageError {
            missing: vec![MissingImage {
                role: "broker".to_owned(),
                tried: vec![
                    tried("engine, broker:1", "it is not there"),
                    tried("registry, broker:1", "no such host"),
                    tried("build, ours:2", "no apt-get"),
                ],
            }],
        };
        assert_eq!(
            error.to_string(),
            "no image for role `broker`\n  engine, broker:1: it is not there\n  registry, broker:1: no such host\n  \
             build, ours:2: no apt-get\n  hint: name one with --image broker=REFERENCE"
        );
    }

    #[test]
    fn a_mode_is_read_as_it_is_written() {
        for mode in [Mode::Auto, Mode::Registry, Mode::Debian, Mode::Local] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!(
            "docker".parse::<Mode>().unwrap_err(),
            "unknown image mode `docker`; known: auto, registry, debian, local"
        );
    }
}
