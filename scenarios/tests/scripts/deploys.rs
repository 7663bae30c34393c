//! What deploy.sh is made of.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::{Said, ops, run};

/// Runs a few lines in the folder, with what deploy.sh is made of; Compose and the engine are played by functions.
fn deploying(folder: &Path, lines: &str) -> Said {
    let script = format!(
        "set -euo pipefail; shopt -s inherit_errexit; . '{}'; {lines}",
        ops("deploy/deploy.sh").display()
    );
    let mut command = Command::new("bash");
    command
        .args(["-c", &script])
        .current_dir(folder)
        .env("PLATFORM_PROJECT", "p")
        .env("PLATFORM_FILES", "base.yml")
        .env("PLATFORM_INTERNAL", "r/app/")
        .env("PLATFORM_TAG", "prod");
    run(&mut command, b"")
}

#[test]
fn a_deploy_that_fails_puts_back_what_it_can_and_removes_what_is_new() {
    let played = r#"
        compose() { echo "compose $*"; case " $STUCK " in *" $5 "*) return 1 ;; esac; }
        merged() { echo '{"a":{"image":"r/a@1"},"b":{"image":"r/b@1"},"c":{"image":"r/c@1"},"new":{"image":"r/new@1"}}'; }
        pins_of() { echo '{"a":"r/a@1","b":"r/b@1","c":"r/c@1"}'; }
        comes_up() { echo "up $2 $3"; case " $BROKEN " in *" $2 "*) return 1 ;; esac; }
        touch next before; point_to next
    "#;
    for (how, code, expected) in [
        (":", 1, "failed; the old version serves again: before"),
        ("BROKEN='a'", 3, "ERROR not put back: a\n"),
        ("BROKEN='b c'", 3, "ERROR not put back: b c\n"),
        ("STUCK='new'", 3, "ERROR not put back: new\n"),
    ] {
        let folder = TempDir::new().unwrap();
        let lines = format!("BROKEN= STUCK=; {how}; {played} put_back next before a new b c");
        let said = deploying(folder.path(), &lines);
        assert_eq!(said.code, Some(code), "{how}: {}{}", said.out, said.error);
        assert!(said.error.contains(expected), "{how}: {}", said.error);
        for service in ["a", "b", "c"] {
            assert!(
                said.out.contains(&format!("up {service} r/{service}@1")),
                "{how}: {}",
                said.out
            );
        }
        let current = "docker-compose.digests.current.yml";
        assert!(
            said.out
                .contains(&format!("compose {current} rm --stop --force new")),
            "{how}: {}",
            said.out
        );
        assert!(!said.out.contains("up new"), "{how}: {}", said.out);
        assert_eq!(
            std::fs::read_link(folder.path().join(current)).unwrap(),
            Path::new("before")
        );
        assert!(folder.path().join("next.failed").exists());
    }
}

#[test]
fn services_of_profiles_are_seen_and_not_started() {
    let folder = TempDir::new().unwrap();
    let played = r#"
        docker() { echo "$*" >&2; echo '{"services":{"a":{"image":"r/app/a:1"},"tool":{"image":"r/app/tool:1","profiles":["tools"]}}}'; }
        config=$(merged over.yml); internal "$config"; always "$config" tool a
    "#;
    let said = deploying(folder.path(), played);
    assert_eq!(said.out, "{\"a\":\"r/app/a\",\"tool\":\"r/app/tool\"}\na\n");
    let asked = "compose --project-name p --project-directory . --file base.yml --file over.yml --profile * config --format json\n";
    assert_eq!(said.error, asked);
}

#[test]
fn a_password_of_any_characters_is_an_option_as_it_is() {
    let folder = TempDir::new().unwrap();
    for (password, written) in [
        ("plain", r#"password="plain""#),
        (r#"a"b"#, r#"password="a\"b""#),
        (r"a\b\\", r#"password="a\\b\\\\""#),
        ("a&b#c'd $e", r#"password="a&b#c'd $e""#),
    ] {
        let lines =
            "mariadb() { cat \"${1#*=}\"; }; DB_HOST=h DB_USER=u DB_NAME=n DB_PASSWORD=$(cat password); sql";
        std::fs::write(folder.path().join("password"), password).unwrap();
        let said = deploying(folder.path(), lines);
        assert_eq!(
            said.out,
            format!("[client]\nhost=h\nport=3306\nuser=u\n{written}\n"),
            "{}",
            said.error
        );
    }
}
