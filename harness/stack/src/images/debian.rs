//! Building an image from Debian packages, without a registry and without root in the engine.
//!
//! mmdebstrap makes a root file system as one tar file, which the engine imports as one layer. It comes from the host's
//! own package sources: if it is not installed, its package is downloaded and unpacked into the state folder, never
//! installed. Signatures are always checked, by the keys that the host trusts or by the newest that it offers.
//!
//! A host that is no Debian and no relative of it cannot take this route; the error says what is missing.

use std::process::Stdio;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::Command;

use super::recipe::{DebianRecipe, SUITE, short_hash};
use super::{ImagePaths, PACKAGE_LABEL, ROLE_LABEL};
use crate::engine::Engine;
use crate::progress::Step;

/// Longest time for a whole root file system: most of it is downloads.
const BOOTSTRAP: Duration = Duration::from_mins(15);
/// Longest time for one call of a package tool.
const TOOL: Duration = Duration::from_mins(3);
/// Longest time for mmdebstrap to tidy up after SIGTERM.
const TIDY: Duration = Duration::from_secs(30);
/// Lines of output shown in an error.
const TAIL: usize = 12;
/// Space in memory that builds side by side need.
const SCRATCH_BYTES: u64 = 3 << 30;
/// The archive's keys, one file for each release, as Debian's own systems have them.
const KEYS: &str = "/usr/share/keyrings";
/// All of them in one file, inside the package.
const KEYRING: &str = "usr/share/keyrings/debian-archive-keyring.gpg";

/// Builds the image and tags it.
///
/// # Errors
/// A text for the list of routes.
pub(super) async fn build(
    engine: &Engine,
    recipe: &DebianRecipe,
    tag: &str,
    paths: &ImagePaths,
    step: &Step,
) -> Result<(), String> {
    step.message("preparing tools");
    let tools = Tools::prepare(&paths.state).await?;
    let scratch = scratch(recipe, paths)?;
    let dir = Utf8Path::from_path(scratch.path()).ok_or("the scratch folder's name is not UTF-8")?;
    let inputs = dir.join("inputs.tar");
    pack_inputs(recipe, &inputs).map_err(|error| format!("pack {}: {error}", recipe.dir))?;
    let (tar, versions) = (dir.join("root.tar"), dir.join("versions"));

    bootstrap(&tools, recipe, dir, &tar, step).await?;
    step.message("importing into the engine");
    let mut changes = recipe.changes.clone();
    changes.push(format!("LABEL {ROLE_LABEL}={}", recipe.role));
    let versions = std::fs::read_to_string(&versions).map_err(|error| format!("read {versions}: {error}"))?;
    changes.extend(
        versions
            .lines()
            .filter_map(|line| line.split_once(' '))
            .map(|(package, version)| format!("LABEL {PACKAGE_LABEL}{package}=\"{version}\"")),
    );
    let file = tokio::fs::File::open(&tar)
        .await
        .map_err(|error| format!("open {tar}: {error}"))?;
    // Tagged only when it is complete: what has the tag is found by everybody.
    let id = engine
        .import(tag, file, changes)
        .await
        .map_err(|error| error.to_string())?;
    engine.tag(&id, tag).await.map_err(|error| error.to_string())
}

/// What is run.
struct Tools {
    mmdebstrap: Utf8PathBuf,
    /// Keys to trust, if the host's own do not include Debian's.
    keyring: Option<Utf8PathBuf>,
    /// The host's mirror of Debian; without, mmdebstrap's default.
    mirror: Option<String>,
}

impl Tools {
    async fn prepare(state: &Utf8Path) -> Result<Self, String> {
        let installed = Utf8PathBuf::from("mmdebstrap");
        let mmdebstrap = match run(Command::new(&installed).arg("--version")).await {
            Ok(_) => installed,
            Err(_) => unpacked(state, "mmdebstrap").await?.join("usr/bin/mmdebstrap"),
        };
        let known = |ending| {
            Utf8Path::new(KEYS)
                .join(format!("debian-archive-{SUITE}-stable.{ending}"))
                .exists()
        };
        let keyring = if known("gpg") || known("pgp") {
            None
        } else {
            Some(unpacked(state, "debian-archive-keyring").await?.join(KEYRING))
        };
        let mut targets = Command::new("apt-get");
        targets.args(["indextargets", "--format", "$(REPO_URI)"]);
        targets.args(["Created-By: Packages", "Origin: Debian", "Label: Debian"]);
        // A host without package lists names no mirror, which is no reason to give up.
        let mirror = run(&mut targets).await.ok().and_then(|out| mirror(&out));
        Ok(Self {
            mmdebstrap,
            keyring,
            mirror,
        })
    }
}

/// The first mirror that a root file system can be made from: not a local folder, which is not seen from inside.
fn mirror(targets: &str) -> Option<String> {
    targets
        .lines()
        .find(|uri| uri.starts_with("http://") || uri.starts_with("https://"))
        .map(str::to_owned)
}

/// The folder into which a package is unpacked, not installed; downloaded now if it is not there.
async fn unpacked(state: &Utf8Path, package: &str) -> Result<Utf8PathBuf, String> {
    let tools = state.join("tools");
    let ready = tools.join(package);
    if ready.exists() {
        return Ok(ready);
    }
    let failed = |error: std::io::Error| format!("{tools}: {error}");
    std::fs::create_dir_all(&tools).map_err(failed)?;
    let partial = tempfile::Builder::new()
        .prefix("download-")
        .tempdir_in(&tools)
        .map_err(failed)?;
    let dir = Utf8Path::from_path(partial.path()).ok_or("the state folder's name is not UTF-8")?;
    let download = || async {
        run(Command::new("apt-get")
            .args(["download", package])
            .current_dir(dir))
        .await
    };
    if let Err(first) = download().await {
        // A host that was made from an image has no package lists yet; only root can fetch them.
        run(Command::new("apt-get").arg("update"))
            .await
            .map_err(|_| first)?;
        download().await?;
    }
    let deb = dir
        .read_dir_utf8()
        .map_err(failed)?
        .flatten()
        .map(camino::Utf8DirEntry::into_path)
        .find(|path| path.extension() == Some("deb"))
        .ok_or_else(|| format!("apt-get downloaded no file for {package}"))?;
    let root = dir.join("root");
    run(Command::new("dpkg-deb").args(["-x", deb.as_str(), root.as_str()])).await?;
    match std::fs::rename(&root, &ready) {
        // Another process was quicker.
        Err(_) if ready.exists() => Ok(ready),
        result => result.map(|()| ready).map_err(failed),
    }
}

/// A folder for one build: in memory if there is room, because the package manager syncs every file. Its name is the
/// same for every build of this image, so that what a killed build left is found and removed; the caller holds the lock.
fn scratch(recipe: &DebianRecipe, paths: &ImagePaths) -> Result<tempfile::TempDir, String> {
    use rustix::fs::StatVfsMountFlags as Flags;
    let memory = Utf8Path::new("/dev/shm");
    let dir = match &paths.scratch {
        Some(dir) => dir.clone(),
        None => match rustix::fs::statvfs(memory.as_std_path()) {
            Ok(fs) if !fs.f_flag.contains(Flags::NOEXEC) && fs.f_bavail * fs.f_frsize >= SCRATCH_BYTES => {
                memory.to_owned()
            }
            _ => paths.state.join("scratch"),
        },
    };
    // Locks are by state folder, hence names are, too.
    let name = format!(
        "harness-image-{}-{}",
        recipe.role,
        short_hash(paths.state.as_str())
    );
    let stale = dir.join(&name);
    std::fs::create_dir_all(&dir)
        .and_then(|()| {
            if stale.exists() {
                std::fs::remove_dir_all(&stale)
            } else {
                Ok(())
            }
        })
        .and_then(|()| {
            tempfile::Builder::new()
                .prefix(&name)
                .rand_bytes(0)
                .tempdir_in(&dir)
        })
        .map_err(|error| format!("make the scratch folder {stale}: {error}"))
}

/// Packs `rootfs/` and `setup.sh`, owned by root and with plain modes, whoever checked the repository out and how.
fn pack_inputs(recipe: &DebianRecipe, into: &Utf8Path) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(std::fs::File::create(into)?);
    let mut pending = vec![recipe.dir.join("rootfs")];
    while let Some(dir) = pending.pop() {
        if !dir.exists() {
            continue;
        }
        for entry in dir.read_dir_utf8()? {
            let path = entry?.into_path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let name = path.strip_prefix(recipe.dir.join("rootfs")).unwrap_or(&path);
            append(&mut tar, name.as_str(), &path)?;
        }
    }
    let setup = recipe.dir.join("setup.sh");
    if setup.exists() {
        append(&mut tar, SETUP.trim_start_matches('/'), &setup)?;
    }
    tar.finish()
}

/// Where `setup.sh` is inside while it runs.
const SETUP: &str = "/harness-setup.sh";

fn append(tar: &mut tar::Builder<std::fs::File>, name: &str, path: &Utf8Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let content = std::fs::read(path)?;
    let executable = std::fs::metadata(path)?.permissions().mode() & 0o100 != 0;
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(if executable { 0o755 } else { 0o644 });
    tar.append_data(&mut header, name, content.as_slice())
}

async fn bootstrap(
    tools: &Tools,
    recipe: &DebianRecipe,
    dir: &Utf8Path,
    tar: &Utf8Path,
    step: &Step,
) -> Result<(), String> {
    let packages = recipe.packages.join(" ");
    let mut command = Command::new(&tools.mmdebstrap);
    if rustix::process::geteuid().is_root() {
        // Root mounts the host's own folders inside. In a mount namespace of their own, nothing that goes wrong can
        // leave such a mount behind, where removing the scratch folder would follow it. Others get one anyway.
        command = Command::new("unshare");
        command.arg("--mount").arg(&tools.mmdebstrap);
    }
    command
        .args(["--variant=minbase", "--format=tar"])
        .arg(format!("--include={}", recipe.packages.join(",")))
        // The result is a tar file: what a power cut would do to the folder does not matter.
        .arg("--dpkgopt=force-unsafe-io")
        .arg(format!(
            "--customize-hook=tar-in {} /",
            quoted(&dir.join("inputs.tar"))
        ))
        .arg(format!(
            "--customize-hook=chroot \"$1\" sh -c 'if [ -e {SETUP} ]; then sh {SETUP} && rm {SETUP}; fi' 1>&2"
        ))
        .arg(format!(
            "--customize-hook=chroot \"$1\" dpkg-query -W -f '${{Package}} ${{Version}}\\n' {packages} > \
             \"$1/harness-versions\""
        ))
        .arg(format!(
            "--customize-hook=download /harness-versions {}",
            quoted(&dir.join("versions"))
        ))
        .arg("--customize-hook=rm \"$1/harness-versions\"");
    if let Some(keyring) = &tools.keyring {
        command.arg(format!("--keyring={keyring}"));
    }
    command.args([SUITE, tar.as_str()]).args(&tools.mirror);
    command
        .env("TMPDIR", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());

    let mut child = command
        .spawn()
        .map_err(|error| format!("run mmdebstrap: {error}"))?;
    let stderr = child
        .stderr
        .take()
        .ok_or("mmdebstrap's output is not connected")?;
    let mut output = BufReader::new(stderr).lines();
    let mut tail = std::collections::VecDeque::new();
    let watch = async {
        while let Ok(Some(line)) = output.next_line().await {
            // What it says about its hooks is long and of no use to who waits, nor to who reads an error.
            if line.contains("hook") {
                continue;
            }
            if let Some(doing) = line.strip_prefix("I: ") {
                step.message(doing.trim_end_matches('.'));
            }
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line);
        }
        child.wait().await
    };
    let ended = tokio::time::timeout(BOOTSTRAP, watch).await;
    let said = tail.into_iter().collect::<Vec<_>>().join("\n    ");
    match ended {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("mmdebstrap ended with {status}; it said:\n    {said}")),
        Ok(Err(error)) => Err(format!("wait for mmdebstrap: {error}")),
        Err(_) => {
            terminate(&mut child).await;
            Err(format!(
                "mmdebstrap did not end within {} s; it said:\n    {said}",
                BOOTSTRAP.as_secs()
            ))
        }
    }
}

/// SIGTERM first: mmdebstrap then removes its folder.
async fn terminate(child: &mut tokio::process::Child) {
    let pid = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended just now, which is as good.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if tokio::time::timeout(TIDY, child.wait()).await.is_err() {
        drop(child.kill().await);
    }
}

/// Runs a package tool and returns its standard output.
async fn run(command: &mut Command) -> Result<String, String> {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    command
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("run {name}: {error}"))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let finish = async {
        let (mut out, mut err) = (String::new(), String::new());
        let read = async |from: Option<&mut (dyn tokio::io::AsyncRead + Unpin + Send)>, into: &mut String| {
            match from {
                Some(from) => from.read_to_string(into).await,
                None => Ok(0),
            }
        };
        let (mut stdout, mut stderr) = (stdout, stderr);
        tokio::try_join!(
            read(stdout.as_mut().map(|one| one as _), &mut out),
            read(stderr.as_mut().map(|one| one as _), &mut err)
        )?;
        Ok::<_, std::io::Error>((child.wait().await?, out, err))
    };
    match tokio::time::timeout(TOOL, finish).await {
        Ok(Ok((status, out, _))) if status.success() => Ok(out),
        Ok(Ok((status, _, err))) => Err(format!("{name} ended with {status}: {}", err.trim())),
        Ok(Err(error)) => Err(format!("run {name}: {error}")),
        Err(_) => Err(format!("{name} did not end within {} s", TOOL.as_secs())),
    }
}

/// A path as one word of the shell.
fn quoted(path: &Utf8Path) -> String {
    format!("'{}'", path.as_str().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::{mirror, quoted};

    #[test]
    fn a_mirror_is_the_first_that_is_reached_by_http() {
        let targets = "file:/srv/debian\nhttp://one.test/debian\nhttp://two.test/debian\n";
        assert_eq!(mirror(targets).as_deref(), Some("http://one.test/debian"));
        assert_eq!(mirror(""), None);
    }

    #[test]
    fn a_path_is_one_word() {
        assert_eq!(quoted("/tmp/it's here".into()), r"'/tmp/it'\''s here'");
    }
}
