//! Live checks: one run of each, bad input, and nothing changed.
//!
//! Compose is played in most of them: its files hold what it would print. Where Compose itself matters, that of the ops box
//! is asked, for there may be none on the machine.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use crate::support::{Site, said};

/// Prints the last file that is named if it is JSON, and refuses it as Compose does otherwise.
const COMPOSE: &str = r#"#!/bin/sh
[ "$1" = compose ] || exit 125
[ "$2" = version ] && echo 2.26.1 && exit
for word; do [ "$before" = -f ] && last=$word; before=$word; done
case $(cat "$last") in
  "{"*) cat "$last" ;;
  *) echo 'yaml: mapping values are not allowed in this context' >&2; exit 15 ;;
esac
"#;

/// A platform of two services.
pub(crate) const BASE: &str = r#"{"name":"harness-no-such-project","services":{
"tags":{"image":"registry.test/app/tags:prod","ports":[{"target":80,"published":"8081","host_ip":"127.0.0.1","protocol":"tcp"}]},
"web":{"image":"registry.test/app/web:prod","ports":[{"target":80,"published":"80","protocol":"tcp"}]}}}"#;

/// Files of a platform, and what is asked about them.
pub(crate) struct Place {
    pub(crate) site: Site,
    /// The engine, if it is not the machine's own.
    pub(crate) engine: Option<String>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let site = Site::new();
        let bin = site.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let docker = bin.join("docker");
        std::fs::write(&docker, COMPOSE).unwrap();
        std::fs::set_permissions(&docker, std::fs::Permissions::from_mode(0o755)).unwrap();
        let place = Self { site, engine: None };
        place.write("base.yml", BASE);
        place
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.site.path().join(name), text).unwrap();
    }

    /// Runs `harness check ..`, in the folder of the files, and sees that none of them is changed.
    fn check(&self, args: &str) -> Output {
        let before = files(self.site.path());
        let path = format!("{}:/usr/bin:/bin", self.site.path().join("bin").display());
        let words: Vec<_> = std::iter::once("check").chain(args.split_whitespace()).collect();
        let mut command = self.site.command(&words);
        if let Some(engine) = &self.engine {
            command.env("DOCKER_HOST", engine);
        }
        let output = command
            .env("PATH", path)
            .current_dir(self.site.path())
            .output()
            .unwrap();
        assert_eq!(before, files(self.site.path()), "{args}");
        output
    }

    #[track_caller]
    pub(crate) fn expect(&self, args: &str, code: i32, parts: &[&str]) {
        let output = self.check(args);
        assert_eq!(output.status.code(), Some(code), "{args}: {}", said(&output));
        // How wide a column is depends on the rules beside it.
        let words: Vec<_> = said(&output).split_whitespace().map(str::to_owned).collect();
        for part in parts {
            assert!(
                words.join(" ").contains(part),
                "{args}: no {part} in: {}",
                said(&output)
            );
        }
    }
}

/// The files of a folder, by name.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.is_file());
    files
        .map(|path| (path.to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
        .collect()
}

/// The platform with this image for one service, and a pinned one for the other.
pub(crate) fn pins(tags: &str) -> String {
    let web = format!("registry.test/app/web@sha256:{}", "b".repeat(64));
    BASE.replace("registry.test/app/tags:prod", tags)
        .replace("registry.test/app/web:prod", &web)
}

#[test]
fn a_deploy_is_checked() {
    let place = Place::new();
    place.expect(
        "deploy --compose base.yml",
        0,
        &["port-mappings ok", "port-policy ok"],
    );
    let good = format!("registry.test/app/tags@sha256:{}", "a".repeat(64));
    place.write("pins.yml", &pins(&good));
    let asked = "deploy --compose base.yml --pins pins.yml --internal registry.test/app/";
    let found = ["override-parses ok", "pins-complete ok"];
    place.expect(
        asked,
        if Path::new("/var/run/docker.sock").exists() {
            100
        } else {
            0
        },
        &found,
    );

    place.write("pins.yml", &pins("registry.test/app/tags@sha256:abc"));
    place.expect(asked, 100, &["its digest has 3 digits, expected 64"]);
    place.write("pins.yml", &pins(&good).replace("\"tags\"", "\"tagz\""));
    place.expect(
        asked,
        100,
        &["`tagz`", "did you mean `tags`?", "service tags is gone"],
    );
    place.write("pins.yml", r"services:\n  tags:\n    image: x\n");
    place.expect(
        asked,
        100,
        &["mapping values are not allowed", "line 1 has a literal \\n"],
    );
    let unreachable = "deploy --compose base.yml --versions http://127.0.0.1:1/version";
    place.expect(
        unreachable,
        100,
        &["http://127.0.0.1:1/version does not say its version"],
    );
}

#[test]
fn what_cannot_be_read_is_refused() {
    let place = Place::new();
    place.write("broken.yml", "services: [");
    place.expect(
        "deploy --compose broken.yml",
        96,
        &["broken.yml", "Compose refuses it", "mapping values"],
    );
    place.expect("deploy --compose absent.yml", 96, &["absent.yml", "No such file"]);
    place.expect(
        "deploy --compose base.yml --pins absent.yml",
        96,
        &["absent.yml", "No such file"],
    );
    place.write("policy.toml", "[ports]\npublic = \"all\"\n");
    place.expect(
        "ports --compose base.yml --policy policy.toml",
        96,
        &["policy.toml:2:"],
    );
    place.write("rules", "hello\n");
    place.expect(
        "ports --compose base.yml --rules rules",
        96,
        &["neither the JSON of gcloud"],
    );
    std::fs::remove_file(place.site.path().join("bin/docker")).unwrap();
    let without = place.check("deploy --compose base.yml");
    if !said(&without).contains("port-policy") {
        assert_eq!(without.status.code(), Some(97), "{}", said(&without));
        assert!(said(&without).contains("--compose-image"), "{}", said(&without));
    }
}

#[test]
fn ports_are_checked() {
    let place = Place::new();
    place.write(
        "sockets",
        "LISTEN 0 1 0.0.0.0:80 0.0.0.0:*\nLISTEN 0 1 127.0.0.1:8081 0.0.0.0:*\n",
    );
    place.write("rules", "Status: active\n80/tcp   ALLOW   Anywhere\n");
    let asked = "ports --compose base.yml --rules rules --sockets sockets";
    place.expect(asked, 0, &["port-policy ok", "firewall-policy ok"]);
    place.write("sockets", "LISTEN 0 1 0.0.0.0:8090 0.0.0.0:*\n");
    place.write("rules", "Status: active\n3000/tcp   ALLOW   Anywhere\n");
    place.expect(
        asked,
        100,
        &["port 8090/tcp is open on 0.0.0.0", "3000", "dangling"],
    );
}

#[test]
fn a_backup_is_checked() {
    let place = Place::new();
    place.write("b.log", "2026-11-24T03:00:10Z INFO backup complete env=prod\n");
    place.expect(
        "backup --log b.log --now 2026-11-25T08:59:00Z",
        0,
        &["backup-fresh ok"],
    );
    place.expect(
        "backup --log b.log --now 2026-11-25T09:01:00Z",
        100,
        &["30 h 0 min old"],
    );
    place.expect("backup --log absent.log", 100, &["there is no such file"]);
    place.expect("backup --log bin", 96, &["read bin"]);
    place.write("o.sql.gz", "no archive");
    place.write("m.json", r#"{"env":"prod"}"#);
    let asked = "backup --log b.log --now 2026-11-24T09:00:00Z --object o.sql.gz --metadata m.json";
    place.expect(asked, 100, &["the archive is corrupted", "it has no size_bytes"]);
    place.expect("backup --log b.log --object absent.gz", 96, &["absent.gz"]);
}

/// Two files as a production machine layers them, and an override that the second file's ports are appended to.
const LAYERS: [(&str, &str); 3] = [
    (
        "docker-compose.yml",
        "name: harness-no-such-project\nservices:\n  web:\n    image: registry.test/app/web:prod\n    ports: ['127.0.0.1:8081:80']\n",
    ),
    ("prod.yml", "services:\n  web:\n    ports: ['0.0.0.0:3000:80']\n"),
    (
        "replaced.yml",
        "services:\n  web:\n    ports: !override ['127.0.0.1:8081:80']\n",
    ),
];

#[test]
fn compose_itself_merges_the_files_wherever_it_is() {
    let place = Place::new();
    std::fs::remove_file(place.site.path().join("bin/docker")).unwrap();
    for (name, text) in LAYERS {
        place.write(name, text);
    }
    let asked = "ports --compose docker-compose.yml --compose prod.yml --sockets none";
    place.write("none", "");
    // Lists of ports are appended to each other, so the second file opens a port more.
    place.expect(asked, 100, &["port 3000/tcp", "0.0.0.0"]);
    place.expect(
        "ports --compose docker-compose.yml --compose replaced.yml --sockets none",
        0,
        &["port-policy ok"],
    );
    place.write(
        "pins.yml",
        "services:\n  web:\n    image: registry.test/app/web@sha256:abc\n",
    );
    let asked = "deploy --compose docker-compose.yml --pins pins.yml --internal registry.test/app/";
    place.expect(asked, 100, &["pins-complete FAIL", "its digest has 3 digits"]);
    place.write("pins.yml", r"services:\n  web:\n    image: x\n");
    place.expect(asked, 100, &["line 1 has a literal \\n"]);
    place.site.assert_clean();
}

const DUMP: &str = "CREATE DATABASE `app`;
USE `app`;
CREATE TABLE `reports` (`seq` int PRIMARY KEY, `text` varchar(20));
INSERT INTO `reports` VALUES (1,'ä'),(2,'b'),(3,NULL);
CREATE TABLE `tags` (`id` int PRIMARY KEY);
-- Dump completed on 2026-11-24  3:00:10
";

#[test]
fn a_backup_is_restored_and_thrown_away() {
    let place = Place::new();
    place.write("b.log", "2026-11-24T03:00:10Z INFO backup complete env=prod\n");
    let pack = |sql: &str| {
        place.write("d.sql", sql);
        let packed = std::process::Command::new("gzip")
            .args(["-kf", "d.sql"])
            .current_dir(place.site.path())
            .status();
        assert!(packed.unwrap().success());
        std::fs::metadata(place.site.path().join("d.sql.gz"))
            .unwrap()
            .len()
    };
    let describe = |size: u64, rows: &str| {
        let text = format!(
            r#"{{"env":"prod","object":"d.sql.gz","started_utc":"2026-11-24T03:00:00Z","finished_utc":"2026-11-24T03:00:09Z",
            "duration_seconds":9,"size_bytes":{size},"row_counts":{rows}}}"#
        );
        place.write("m.json", &text);
    };
    let asked = "backup --log b.log --now 2026-11-24T09:00:00Z --object d.sql.gz --metadata m.json --drill";
    let size = pack(DUMP);
    describe(size, r#"{"reports":3,"app.tags":0}"#);
    place.expect(asked, 0, &["3 rows of app.tags, reports"]);
    describe(size, r#"{"reports":4,"tags":0}"#);
    place.expect(
        asked,
        100,
        &["table reports: 3 rows restored, the metadata says 4"],
    );
    let size = pack(&DUMP.replace("PRIMARY KEY, ", "PRIMARY KEYS, "));
    describe(size, r#"{"reports":3}"#);
    place.expect(asked, 100, &["the dump cannot be restored: ERROR 1064"]);
    place.write("d.sql.gz", "no archive");
    place.expect(asked, 100, &["the archive is corrupted", "no drill"]);
    place.expect("backup --log b.log --drill", 96, &["--object"]);
    place.site.assert_clean();
}
