//! Recipes: everything that goes into an image that is built here, and the hash of it.
//!
//! A recipe for a Debian image is a folder: `packages` (one a line), `rootfs/` (copied over the installed packages),
//! `setup.sh` (run inside at the end) and `image.conf` (lines as in a Dockerfile: user, entry point, ports). Of file
//! modes only "executable" counts, as in version control.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use super::{ImagePaths, read};

/// Debian's release from which images are built.
pub(super) const SUITE: &str = "trixie";
/// Changed when the way of building changes, so that older images are not found.
const FORMAT: &str = "1";
/// Repository of all images built here.
const REPOSITORY: &str = "cleanapp-harness";
/// Hex digits of the hash in a tag.
const TAG_DIGITS: usize = 12;

/// How to build an image, with its inputs read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// Name of the image's tag, `repository:hash`.
    pub tag: String,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Packages, files and a script.
    Debian(DebianRecipe),
    /// The reference pipeline's binary on a base.
    Pipeline(PipelineRecipe),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DebianRecipe {
    pub(super) role: String,
    pub(super) dir: Utf8PathBuf,
    pub(super) packages: Vec<String>,
    /// Lines of `image.conf`.
    pub(super) changes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PipelineRecipe {
    /// Dockerfile without its first line.
    pub(super) dockerfile: String,
    /// The image on which the binary is put.
    pub(super) base: Box<super::ImageSpec>,
}

/// An input of a recipe that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read {path} for an image: {cause}")]
pub struct RecipeError {
    /// File or folder.
    pub path: Utf8PathBuf,
    /// Why.
    pub cause: String,
}

impl Recipe {
    /// The recipe in `fixtures/images/<role>`.
    pub(super) fn debian(role: &str, paths: &ImagePaths) -> Result<Self, RecipeError> {
        Self::in_folder(role, &paths.recipe(role))
    }

    fn in_folder(role: &str, dir: &Utf8Path) -> Result<Self, RecipeError> {
        let mut hash = Inputs::new();
        hash.text("suite", SUITE);
        hash.folder(dir)?;
        let text = |name: &str| Ok(String::from_utf8_lossy(&read(&dir.join(name))?).into_owned());
        let debian = DebianRecipe {
            role: role.to_owned(),
            dir: dir.to_owned(),
            packages: lines(&text("packages")?),
            changes: lines(&text("image.conf")?),
        };
        Ok(Self {
            tag: tag(role, &hash.finish()),
            kind: Kind::Debian(debian),
        })
    }

    /// Name of the image without repository and hash.
    pub(super) fn name(&self) -> &str {
        let name = self
            .tag
            .rsplit_once(':')
            .map_or(self.tag.as_str(), |(name, _)| name);
        name.rsplit_once('/').map_or(name, |(_, last)| last)
    }

    /// The reference pipeline of this workspace, in the profile of this very program: whoever optimises the harness
    /// measures with an optimised pipeline. The hash is over sources, so an image that is up to date needs no compiler.
    pub(super) fn pipeline(paths: &ImagePaths) -> Result<Self, RecipeError> {
        let base = Self::in_folder("services-base", &paths.recipe("services/base"))?;
        let dockerfile = paths.recipe("services/Dockerfile");
        let mut hash = Inputs::new();
        hash.text("base", &base.tag);
        hash.text("profile", if cfg!(debug_assertions) { "dev" } else { "release" });
        hash.file("Dockerfile", &dockerfile)?;
        for name in ["Cargo.lock", "Cargo.toml"] {
            hash.file(name, &paths.workspace.join(name))?;
        }
        hash.folder(&paths.workspace.join("fixtures/pipeline"))?;
        let base = super::ImageSpec {
            role: "services-base".to_owned(),
            chosen: None,
            registry_ref: Some(format!("debian:{SUITE}-slim")),
            recipe: Some(base),
        };
        let dockerfile = String::from_utf8_lossy(&read(&dockerfile)?).into_owned();
        let kind = Kind::Pipeline(PipelineRecipe {
            dockerfile,
            base: Box::new(base),
        });
        Ok(Self {
            tag: tag("services", &hash.finish()),
            kind,
        })
    }
}

/// Lines that are neither empty nor comments.
fn lines(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn tag(role: &str, hash: &str) -> String {
    format!("{REPOSITORY}/{role}:{}", &hash[..TAG_DIGITS])
}

/// A hash of a text, for names that must differ where the texts do.
pub(super) fn short_hash(text: &str) -> String {
    let mut hash = Inputs::new();
    hash.text("text", text);
    hash.finish()[..TAG_DIGITS].to_owned()
}

/// A hash over named inputs. Names and contents are framed by their lengths, so that no two sets of inputs look alike.
struct Inputs {
    hash: Sha256,
}

impl Inputs {
    fn new() -> Self {
        let mut inputs = Self { hash: Sha256::new() };
        inputs.text("format", FORMAT);
        inputs
    }

    fn text(&mut self, name: &str, value: &str) {
        self.entry(name, false, value.as_bytes());
    }

    fn file(&mut self, name: &str, path: &Utf8Path) -> Result<(), RecipeError> {
        let content = read(path)?;
        self.entry(name, is_executable(path)?, &content);
        Ok(())
    }

    /// Every file below a folder, in the order of names.
    fn folder(&mut self, dir: &Utf8Path) -> Result<(), RecipeError> {
        let mut files = BTreeMap::new();
        list(dir, dir, &mut files)?;
        for (name, path) in files {
            self.file(&name, &path)?;
        }
        Ok(())
    }

    fn entry(&mut self, name: &str, executable: bool, content: &[u8]) {
        for part in [name.as_bytes(), content] {
            self.hash.update((part.len() as u64).to_be_bytes());
            self.hash.update(part);
        }
        self.hash.update([u8::from(executable)]);
    }

    fn finish(self) -> String {
        self.hash.finalize().iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

fn list(
    root: &Utf8Path,
    dir: &Utf8Path,
    into: &mut BTreeMap<String, Utf8PathBuf>,
) -> Result<(), RecipeError> {
    let failed = |error: std::io::Error| RecipeError {
        path: dir.to_owned(),
        cause: error.to_string(),
    };
    for entry in dir.read_dir_utf8().map_err(failed)? {
        let path = entry.map_err(failed)?.into_path();
        if path.is_dir() {
            list(root, &path, into)?;
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .as_str()
                .replace('\\', "/");
            into.insert(name, path);
        }
    }
    Ok(())
}

#[cfg(unix)]
fn is_executable(path: &Utf8Path) -> Result<bool, RecipeError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = path.metadata().map_err(|error| RecipeError {
        path: path.to_owned(),
        cause: error.to_string(),
    })?;
    Ok(metadata.permissions().mode() & 0o100 != 0)
}

#[cfg(not(unix))]
fn is_executable(_: &Utf8Path) -> Result<bool, RecipeError> {
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::Recipe;
    use camino::{Utf8Path, Utf8PathBuf};
    use std::fs;

    fn folder() -> (tempfile::TempDir, Utf8PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(dir.path().to_owned()).unwrap();
        fs::create_dir(path.join("rootfs")).unwrap();
        fs::write(
            path.join("packages"),
            "# what it is made of\nmariadb-server\n\n  less\n",
        )
        .unwrap();
        fs::write(path.join("image.conf"), "USER mysql\n# a comment\nEXPOSE 3306\n").unwrap();
        fs::write(path.join("setup.sh"), "true\n").unwrap();
        fs::write(path.join("rootfs/entrypoint"), "#!/bin/sh\n").unwrap();
        (dir, path)
    }

    fn tag(path: &Utf8Path) -> String {
        Recipe::in_folder("database", path).unwrap().tag
    }

    #[test]
    fn a_recipe_is_read_without_its_comments() {
        let (_dir, path) = folder();
        let super::Kind::Debian(recipe) = Recipe::in_folder("database", &path).unwrap().kind else {
            unreachable!()
        };
        assert_eq!(recipe.packages, ["mariadb-server", "less"]);
        assert_eq!(recipe.changes, ["USER mysql", "EXPOSE 3306"]);
    }

    #[test]
    fn a_tag_is_a_role_and_twelve_digits_of_the_hash() {
        let (_dir, path) = folder();
        assert_eq!(Recipe::in_folder("database", &path).unwrap().name(), "database");
        let tag = tag(&path);
        let digits = tag.strip_prefix("cleanapp-harness/database:").unwrap();
        assert_eq!(digits.len(), 12);
        assert!(
            digits
                .chars()
                .all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase()),
            "{tag}"
        );
    }

    #[test]
    fn the_tag_changes_with_every_input_and_with_nothing_else() {
        let (_dir, path) = folder();
        let (_other, copy) = folder();
        let first = tag(&path);
        assert_eq!(first, tag(&copy), "the place does not count");

        let mut seen = vec![first];
        let mut changed = |what: &str| {
            let now = tag(&path);
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        fs::write(path.join("packages"), "mariadb-server\n").unwrap();
        changed("packages");
        fs::write(path.join("rootfs/entrypoint"), "#!/bin/sh\ntrue\n").unwrap();
        changed("content of a file");
        fs::rename(path.join("rootfs/entrypoint"), path.join("rootfs/start")).unwrap();
        changed("name of a file");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(path.join("rootfs/start"), fs::Permissions::from_mode(0o755)).unwrap();
            changed("mode of a file");
        }
        // The same bytes, divided differently between two files.
        fs::write(path.join("rootfs/a"), "xy").unwrap();
        fs::write(path.join("rootfs/b"), "z").unwrap();
        changed("two more files");
        fs::write(path.join("rootfs/a"), "x").unwrap();
        fs::write(path.join("rootfs/b"), "yz").unwrap();
        changed("division between files");
    }

    #[test]
    fn a_missing_input_is_named() {
        let (_dir, path) = folder();
        fs::remove_file(path.join("packages")).unwrap();
        let error = Recipe::in_folder("database", &path).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("read {path}/packages for an image: ")),
            "{error}"
        );
    }
}
