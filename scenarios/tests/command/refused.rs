//! Bad input: a clear error, the documented exit code, and nothing left behind.

use std::net::Shutdown;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use crate::support::{CLEAN, Site, said};

fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// The topology of the repository with one text replaced, where its relative paths still lead somewhere.
fn topology(site: &Site, from: &str, to: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned();
    let text = std::fs::read_to_string(root.join("fixtures/topologies/ci.toml")).unwrap();
    assert!(text.contains(from), "the topology has no {from}");
    let text = text
        .replacen(from, to, 1)
        .replace("../schema", root.join("fixtures/schema").to_str().unwrap());
    let path = site.path().join("topology.toml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn without_an_engine_it_says_so() {
    let site = Site::new();
    let output = site
        .command(&["run"])
        .env("DOCKER_HOST", "unix:///nowhere/engine.sock")
        .output()
        .unwrap();
    assert_eq!(code(&output), 97, "{}", said(&output));
    assert!(said(&output).contains("engine"), "{}", said(&output));
    assert!(said(&output).contains("harness doctor"), "{}", said(&output));
}

#[test]
fn an_image_that_nobody_has_is_named_with_every_route() {
    let site = Site::new();
    let output = site.run(&[
        "run",
        "--image",
        "analyzer=nobody/has-this:1",
        "pipeline::golden_path",
    ]);
    assert_eq!(code(&output), 97, "{}", said(&output));
    for part in ["analyzer", "nobody/has-this:1", "engine", "registry"] {
        assert!(said(&output).contains(part), "no {part} in: {}", said(&output));
    }
}

#[test]
fn an_unknown_scenario_selects_nothing() {
    let site = Site::new();
    let output = site.run(&["run", "pipeline::golden_pth"]);
    assert_eq!(code(&output), 4, "{}", said(&output));
    assert!(
        said(&output).contains("pipeline::golden_path"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_malformed_topology_is_shown_with_its_place() {
    let site = Site::new();
    let path = topology(&site, "consumes = \"analysis\"", "consumes = \"analisys\"");
    let output = site.run(&["run", "--topology", path.to_str().unwrap()]);
    assert_eq!(code(&output), 96, "{}", said(&output));
    for part in ["topology.toml:", "analisys", "analysis"] {
        assert!(said(&output).contains(part), "no {part} in: {}", said(&output));
    }
}

#[test]
fn an_unwritable_folder_is_refused_before_anything_starts() {
    let site = Site::new();
    let output = site.run(&["run", "--out", "/proc/nowhere", "pipeline::golden_path"]);
    assert_eq!(code(&output), 96, "{}", said(&output));
    assert!(said(&output).contains("/proc/nowhere"), "{}", said(&output));
}

/// Runs one scenario with the topology changed, in vain: exit code 102, all of `parts` are said, nothing is left.
fn does_not_come_up(from: &str, to: &str, parts: &[&str]) {
    let site = Site::new();
    let path = topology(&site, from, to);
    let output = site.run(&[
        "run",
        "--topology",
        path.to_str().unwrap(),
        "pipeline::golden_path",
    ]);
    assert_eq!(code(&output), 102, "{}", said(&output));
    for part in parts {
        assert!(said(&output).contains(part), "no {part} in: {}", said(&output));
    }
    site.assert_clean();
}

#[test]
fn a_service_that_ends_at_once_is_shown_with_its_last_lines() {
    let parts = ["tags ended with code 2", "tagz"];
    does_not_come_up("command = [\"tags\"]", "command = [\"tagz\"]", &parts);
}

#[test]
fn a_service_that_never_becomes_healthy_is_shown_with_what_it_said() {
    let parts = ["to be healthy", "status 404"];
    does_not_come_up(
        "health = { path = \"/health\"",
        "health = { path = \"/never\"",
        &parts,
    );
}

#[test]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "what it needs is asked of the machine, and told to whoever runs it"
)]
fn a_full_disk_is_said_to_be_full() {
    let site = Site::new();
    let small = site.path().join("small");
    std::fs::create_dir(&small).unwrap();
    let user = std::fs::metadata(&small).unwrap().uid();
    // A small file system takes a privilege. Who has none, neither as root nor by sudo without a password, cannot fill a disk
    // here; the gate can.
    let privileged = |program: &str, args: &[&str]| {
        let words = [program].into_iter().chain(args.iter().copied());
        let words: Vec<_> = if user == 0 {
            words.collect()
        } else {
            ["sudo", "-n"].into_iter().chain(words).collect()
        };
        let status = Command::new(words[0]).args(&words[1..]).arg(&small).status();
        status.is_ok_and(|status| status.success())
    };
    if !privileged(
        "mount",
        &["-t", "tmpfs", "-o", &format!("size=300k,uid={user}"), "tmpfs"],
    ) {
        assert!(
            std::env::var_os("CI").is_none(),
            "no small file system can be mounted"
        );
        eprintln!("left out: a small file system needs root, or sudo without a password");
        return;
    }
    let output = site.run(&["run", "--out", small.to_str().unwrap(), "pipeline::batch"]);
    assert!(privileged("umount", &[]));
    assert_eq!(code(&output), 102, "{}", said(&output));
    assert!(said(&output).contains("No space left"), "{}", said(&output));
    site.assert_clean();
}

#[test]
fn an_engine_that_goes_away_in_the_middle_ends_the_run() {
    let site = Site::new();
    let socket = site.path().join("engine.sock");
    let relay = Relay::start(&socket);
    let host = format!("unix://{}", socket.display());
    let mut command = site.command(&["run", "broker::restarted_idle"]);
    let child = command
        .env("DOCKER_HOST", &host)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let body = |found: &[String]| found.iter().filter(|one| one.starts_with("lease")).count() == 3;
    let begun = site
        .observer
        .wait("three services", &site.path().join(state_name()), CLEAN, body);
    begun.unwrap();
    drop(relay);
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 102, "{}", said(&output));
    // The engine itself lives on, so the next command tidies up, once the pool that cannot has ended.
    let tidied = |found: &[String]| found.is_empty() || !site.run(&["gc"]).status.success();
    site.observer
        .wait("the next command to tidy up", &site.state(), CLEAN, tidied)
        .unwrap();
    assert!(site.observer.remains(&site.state()).unwrap().is_empty());
}

/// Name of the state folder, before the command has made it.
fn state_name() -> String {
    let id = Command::new("id").arg("-u").output().unwrap();
    format!("harness-{}", String::from_utf8(id.stdout).unwrap().trim())
}

/// An engine's socket that can go away: a relay to the real one.
struct Relay {
    socket: PathBuf,
    streams: Arc<Mutex<Vec<UnixStream>>>,
}

impl Relay {
    fn start(socket: &Path) -> Self {
        let listener = UnixListener::bind(socket).unwrap();
        let streams = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&streams);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let engine = UnixStream::connect("/var/run/docker.sock").unwrap();
                for (from, to) in [(&client, &engine), (&engine, &client)] {
                    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    std::thread::spawn(move || {
                        // Either end may go at any time; that is what a relay is for.
                        drop(std::io::copy(&mut from, &mut to));
                        drop(to.shutdown(Shutdown::Write));
                    });
                }
                kept.lock().unwrap().extend([client, engine]);
            }
        });
        Self {
            socket: socket.to_owned(),
            streams,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        std::fs::remove_file(&self.socket).unwrap();
        for stream in self.streams.lock().unwrap().drain(..) {
            // One that has ended already is as good.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}
