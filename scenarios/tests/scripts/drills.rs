//! What a drill leaves that is ended or killed, with the engine played.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::json;

use crate::store::Store;
use crate::{Said, ops, run};

/// Keeps its containers and volumes as files, and sends the signal to the drill when it is called for `POINT`. It is removing
/// its container already if there is a file `going`, and never does if that is a folder.
const DOCKER: &str = r#"#!/usr/bin/env bash
here=$(dirname "$0")
case "$*" in *' -e SELECT 1') exit 0 ;; esac
if [ "$1 $2" = "$POINT" ]; then kill -"$SIGNAL" "$(cat "$here/pid")"; fi
case "$1 $2" in
    'ps '*) ! [ -e "$here/container" ] || echo c ;;
    'run '*) touch "$here/container" ;;
    'rm '*)
        if [ -e "$here/going" ]; then echo 'No such container: c' >&2; exit 1; fi
        rm "$here/container"
        ;;
    'volume ls') ! [ -e "$here/volume" ] || echo v ;;
    'volume create') touch "$here/volume" ;;
    'volume rm')
        if [ -e "$here/going" ]; then
            echo 'remove v: volume is in use' >&2
            rm "$here/going" && rm "$here/container"
            exit 1
        fi
        rm "$here/volume"
        ;;
    'exec '*) cat >/dev/null; exit 1 ;;
    *) exit 64 ;;
esac
"#;

const DUMP: &str = "gs://b/current/cleanapp_all.sql.gz";

/// A store with a good backup, the engine among its files.
fn place() -> Store {
    let store = Store::new();
    let path = |name: &str| store.path().join(name);
    std::fs::create_dir(path(".bin")).unwrap();
    std::fs::write(path(".bin/docker"), DOCKER).unwrap();
    std::fs::set_permissions(path(".bin/docker"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(path(".dump"), "x\n-- Dump completed\n").unwrap();
    let packed = run(Command::new("gzip").arg("-S.gz").arg(path(".dump")), b"");
    assert_eq!(packed.code, Some(0), "{}", packed.error);
    let packed = path(".dump.gz");
    store.ok(&["-q", "cp", packed.to_str().unwrap(), DUMP], b"");
    let metadata = json!({
        "env": "prod", "object": DUMP, "started_utc": "2026-11-24T03:00:00Z", "finished_utc": "2026-11-24T03:00:05Z",
        "duration_seconds": 5, "size_bytes": std::fs::metadata(packed).unwrap().len(), "row_counts": {"reports": 1},
    });
    let to = "gs://b/current/cleanapp_all.metadata.json";
    store.ok(&["-q", "cp", "-", to], metadata.to_string().as_bytes());
    store
}

/// Runs these lines of bash, which are the drill, and waits for all that they have started.
fn drill(store: &Store, lines: &str, signal: &str, point: &str) -> Said {
    let (bin, stand_ins) = (store.path().join(".bin"), ops("bin"));
    let script = format!(
        "echo $$ >'{0}/pid'; PATH='{0}:{1}':$PATH; {lines}",
        bin.display(),
        stand_ins.display()
    );
    let mut command = Command::new("bash");
    command
        .args(["-c", &script])
        .env("TMPDIR", &bin)
        .env("OBJECT_STORE", store.path())
        .env("BACKUP_ENV", "prod")
        .env("BACKUP_URL", "gs://b")
        .env("DRILL_IMAGE", "database")
        .env("DRILL_REPORT", bin.join("report"))
        .env("SIGNAL", signal)
        .env("POINT", point);
    run(&mut command, b"")
}

/// What is left of the engine's things and of the drill's own folder.
fn left(store: &Store) -> Vec<&'static str> {
    let there = |name: &&str| store.path().join(".bin").join(name).exists();
    let known = ["container", "volume", "restore-drill-prod", "report"];
    known.into_iter().filter(there).collect()
}

#[test]
fn a_drill_that_is_ended_or_killed_leaves_nothing() {
    let script = ops("backup/restore_drill.sh");
    let right = format!("exec '{}'", script.display());
    for (signal, point) in [
        ("TERM", "volume create"),
        ("TERM", "run -d"),
        ("TERM", "exec -i"),
        ("HUP", "run -d"),
        ("INT", "run -d"),
        ("KILL", "volume create"),
        ("KILL", "run -d"),
        ("KILL", "exec -i"),
    ] {
        let store = place();
        let said = drill(&store, &right, signal, point);
        let all = format!("{signal} at {point}: {}{}", said.out, said.error);
        assert_ne!(said.code, Some(0), "{all}");
        assert_eq!(left(&store), [""; 0], "{all}");
        let killed = said.out.contains("ERROR restore drill was killed env=prod");
        assert_eq!(killed, signal == "KILL", "{all}");
        // Nobody keeps the lock.
        let lock = store.path().join(".bin/restore-drill-prod.lock");
        let taken = run(Command::new("flock").args(["-w", "5"]).arg(lock).arg("true"), b"");
        assert_eq!(taken.code, Some(0), "{all}");
    }
}

#[test]
fn a_drill_that_is_killed_with_its_guard_leaves_its_things_to_the_next_one() {
    let script = ops("backup/restore_drill.sh");
    let unguarded = format!(". '{}'; guard() {{ :; }}; main", script.display());
    let store = place();
    let said = drill(&store, &unguarded, "KILL", "exec -i");
    assert_eq!(said.code, None, "{}{}", said.out, said.error);
    assert_eq!(left(&store), ["container", "volume", "restore-drill-prod"]);
    let said = drill(&store, &format!("exec '{}'", script.display()), "0", "run -d");
    assert!(
        said.error.is_empty() && said.code == Some(1),
        "{}{}",
        said.out,
        said.error
    );
    assert_eq!(left(&store), [""; 0]);
}

#[test]
fn a_drill_waits_for_what_the_engine_is_removing_already_and_says_so_if_that_stays() {
    let source = format!(". '{}'; ", ops("backup/restore_drill.sh").display());
    let left_behind = || {
        let store = place();
        for made in ["container", "volume"] {
            std::fs::write(store.path().join(".bin").join(made), "").unwrap();
        }
        store
    };
    let store = left_behind();
    std::fs::write(store.path().join(".bin/going"), "").unwrap();
    let said = drill(&store, &format!("{source} main"), "0", "run -d");
    assert_eq!(said.error, "", "{}", said.out);
    assert!(said.out.contains("INFO restore drill begins"), "{}", said.out);
    assert_eq!(left(&store), [""; 0]);

    let store = left_behind();
    std::fs::create_dir(store.path().join(".bin/going")).unwrap();
    let said = drill(
        &store,
        &format!("{source} REMOVED_SECONDS=0; main"),
        "0",
        "run -d",
    );
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.error);
    assert!(
        said.error
            .contains("No such container: c\nremove v: volume is in use"),
        "{}",
        said.error
    );
    assert!(!said.out.contains("begins"), "{}", said.out);
    assert_eq!(left(&store), ["container", "volume"]);
}
