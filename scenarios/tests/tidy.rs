//! The rules of this repository that no compiler checks: who may depend on whom, who may name what, and that nothing
//! lies about without an owner. Offline, in seconds.
//!
//! Each rule is a function from plain values to complaints. It is asked twice: about the repository, which must give
//! no complaint, and about a bad sample, which must.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{Dependency, DependencyKind, MetadataCommand};
use toml::{Table, Value};

/// Texts by path or name.
type Texts = BTreeMap<String, String>;

/// Who may depend on a crate. Every crate of the workspace has a line; a foreign crate without one may be used by all.
/// The stack alone knows engine, broker and database; the runner alone is a front end; the model waits for nothing.
const USERS: &str = "
    scenarios:
    harness: scenarios
    harness-runner: harness
    harness-stack: harness
    harness-wire: harness
    harness-model: harness harness-runner harness-stack harness-wire
    cleanapp-pipeline:

    amq-protocol: harness-wire
    axum: cleanapp-pipeline
    bollard: harness-stack
    flate2: harness
    clap: cleanapp-pipeline harness-runner
    clap_complete: harness-runner
    insta: harness
    lapin: cleanapp-pipeline harness-stack
    libtest-mimic: harness-runner
    quick-junit: harness-runner
    maud: harness-runner
    rabbitmq_http_client: harness-stack
    reqwest: cleanapp-pipeline harness-stack
    similar: harness-runner
    sqlx: cleanapp-pipeline harness-stack
    testcontainers: harness-stack
    tokio: cleanapp-pipeline harness harness-runner harness-stack harness-wire
    wiremock: harness-stack
";

/// The foreign crate that every crate may use in its tests.
const IN_TESTS: &str = "insta";

/// What a scenario never names.
const HIDDEN: &[&str] = &["bollard", "insta", "lapin", "sqlx", "testcontainers", "wiremock"];

/// Most lines of a source file.
const LINES: usize = 600;

/// Longer files, as lines `path: reason`. There is none.
const LONG: &str = "";

/// Where code may sleep.
const SLEEPERS: &str = "
    fixtures/pipeline/src/time.rs: the services' one module that waits
    harness/stack/src/wait.rs: the harness' one module that polls
    harness/wire/src/recorder/gate.rs: a delay that is the fault itself
";

/// Keys of a topology file whose values are names on the broker or in the database.
const NAMING: &[&str] = &["exchange", "key", "links", "name", "policy", "queue", "table"];

/// Put together, so that this file does not complain of itself.
const NAPS: [&str; 2] = [concat!("sleep", "("), concat!("sleep_until", "(")];

/// Folders of goldens that belong to tests of a crate, not to a scenario, and those tests.
const GOLDEN_TESTS: &str = "
    topology: harness/model/src/topology/tests.rs
    runner: harness/runner/tests/runner/
";

/// The lines of a table, `key: rest`, in order.
fn table(text: &str) -> BTreeMap<&str, &str> {
    let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    lines.map(|(key, rest)| (key, rest.trim())).collect()
}

/// `edges` are lines `from to` or `from to dev`.
fn forbidden_edges(edges: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let users = table(USERS);
    for edge in edges.lines() {
        let words: Vec<_> = edge.split(' ').collect();
        let (from, to, dev) = (words[0], words[1], words.len() == 3);
        if !users.contains_key(from) {
            complaints.push(format!("{from}: say in USERS who may depend on it"));
        }
        let forbidden = users
            .get(to)
            .is_some_and(|users| users.split(' ').all(|user| user != from));
        if forbidden && !(dev && to == IN_TESTS) {
            complaints.push(format!("{from} may not depend on {to}"));
        }
    }
    complaints
}

/// `files` are the scenarios' sources by the name that their path stands for, `family::file`.
fn out_of_catalogue(files: &Texts, catalogue: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, text) in files {
        if catalogue.iter().filter(|listed| *listed == name).count() != 1 {
            complaints.push(format!("{name} is not in the catalogue exactly once"));
        }
        if !text.contains(&format!("\"{name}\"")) {
            complaints.push(format!("the file of {name} declares a scenario of another name"));
        }
    }
    let strays = catalogue.iter().filter(|name| !files.contains_key(**name));
    complaints.extend(strays.map(|name| format!("{name} has no file of its name")));
    complaints
}

/// `snaps` are paths below golden/; `owners` are the sources that may compare with a golden in a folder.
fn orphans<'a>(snaps: impl IntoIterator<Item = &'a str>, owners: &Texts) -> Vec<String> {
    let mut complaints = Vec::new();
    for snap in snaps {
        let (folder, file) = snap.rsplit_once('/').unwrap_or(("", snap));
        let name = format!("\"{}\"", file.trim_end_matches(".snap"));
        match owners.get(folder) {
            None => complaints.push(format!("{snap}: no scenario and no test owns this folder")),
            Some(text) if text.contains(&name) => {}
            Some(_) => complaints.push(format!("{snap}: its owner compares nothing with {name}")),
        }
    }
    complaints
}

fn wrong_length(sources: &Texts, excused: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let excused = table(excused);
    for (path, text) in sources {
        let lines = text.lines().count();
        match (lines > LINES, excused.contains_key(&**path)) {
            (true, false) => complaints.push(format!("{path} has {lines} lines")),
            (false, true) => complaints.push(format!("{path} needs no excuse any more")),
            _ => {}
        }
    }
    complaints
}

/// Crates that a scenario's text names though it must not.
fn hidden_crates(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| HIDDEN.contains(word)).collect()
}

/// Names of queues, exchanges, keys, policies, tables and columns in a topology, without those that are also a role.
fn names_of(topology: &str) -> BTreeSet<String> {
    let topology: Table = topology.parse().expect("a topology is TOML");
    let mut names = BTreeSet::new();
    collect(&topology, &mut names);
    for part in ["exchanges", "queues", "routes", "services"] {
        let roles = topology.get(part).and_then(Value::as_table);
        names.retain(|name| roles.is_none_or(|roles| !roles.contains_key(name)));
    }
    names
}

fn collect(table: &Table, names: &mut BTreeSet<String>) {
    for (key, value) in table {
        match value {
            Value::String(text) if NAMING.contains(&key.as_str()) => drop(names.insert(text.clone())),
            Value::Table(table) => collect(table, names),
            Value::Array(items) => {
                let tables = items.iter().filter_map(Value::as_table);
                tables.for_each(|table| collect(table, names));
            }
            _ => {}
        }
    }
}

/// Names that stand in a scenario's text. One that is a plain word may stand in a sentence, but not as a literal.
fn literal_names<'a>(text: &str, names: &'a BTreeSet<String>) -> Vec<&'a str> {
    let mut found = Vec::new();
    for name in names {
        let plain = name.chars().all(char::is_alphanumeric);
        if text.contains(&format!("\"{name}\"")) || (!plain && text.contains(name)) {
            found.push(name.as_str());
        }
    }
    found
}

/// Numbers of the lines on which code sleeps.
fn naps(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let code = line.split_once("//").map_or(line, |(code, _)| code);
        if NAPS.iter().any(|nap| code.contains(nap)) {
            found.push(number);
        }
    }
    found
}

/// The ids of a catalogue of bugs.
fn ids(catalogue: &str) -> Vec<String> {
    let catalogue: Table = catalogue.parse().expect("it is TOML");
    let bugs = catalogue["bug"].as_array().expect("it has bugs");
    let ids = bugs.iter().filter_map(|bug| bug.get("id")?.as_str());
    ids.map(str::to_owned).collect()
}

/// The words of a text that are among these names. A name without a hyphen may be an ordinary word.
fn spoken<'a>(text: &'a str, names: &BTreeSet<String>) -> Vec<&'a str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let named = |word: &&str| word.contains('-') && names.contains(*word);
    words.filter(named).collect()
}

/// Exit codes of the command's help that a table in Markdown does not have.
fn undocumented_exits(help: &str, readme: &str) -> Vec<String> {
    let codes = help.split_once("Exit codes:\n").map(|(_, after)| after);
    let codes = codes.expect("the help shows exit codes");
    let codes = codes.lines().map_while(|line| line.trim().split_once("  "));
    let rows = codes.map(|(code, meaning)| format!("| {code} | {meaning} |"));
    rows.filter(|row| !readme.contains(row)).collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// All files below `folder` whose names end in `ending`, by their path below `folder`.
fn files(folder: &str, ending: &str) -> Texts {
    let top = root().join(folder);
    let mut found = BTreeMap::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder can be listed") {
            let path = entry.expect("the folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                let name = path.strip_prefix(&top).expect("it is below").to_string_lossy();
                found.insert(name.into_owned(), read(&path));
            }
        }
    }
    assert!(!found.is_empty(), "there is no {ending} in {folder}");
    found
}

fn sources() -> Texts {
    let mut all = BTreeMap::new();
    for top in ["harness", "scenarios", "fixtures"] {
        for (path, text) in files(top, ".rs") {
            all.insert(format!("{top}/{path}"), text);
        }
    }
    all
}

/// The scenarios' sources by the name that their path stands for.
fn scenario_files() -> Texts {
    let mut all = BTreeMap::new();
    for (path, text) in files("scenarios/src", ".rs") {
        if path.contains('/') && !path.starts_with("bin/") {
            all.insert(path.trim_end_matches(".rs").replace('/', "::"), text);
        }
    }
    all
}

fn edges() -> String {
    let offline = vec!["--offline".to_owned()];
    let mut command = MetadataCommand::new();
    command.current_dir(root()).no_deps().other_options(offline);
    let mut edges = Vec::new();
    for package in command.exec().expect("cargo describes the workspace").packages {
        for Dependency { name, kind, .. } in package.dependencies {
            let dev = (kind == DependencyKind::Development).then_some(" dev");
            let dev = dev.unwrap_or_default();
            edges.push(format!("{} {name}{dev}", package.name));
        }
    }
    edges.join("\n")
}

fn texts(entries: &[(&str, &str)]) -> Texts {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    entries.iter().map(owned).collect()
}

#[track_caller]
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn crates_depend_only_on_what_they_may() {
    assert_none(&forbidden_edges(&edges()));
    let fine = "harness-wire harness-model\nharness-model insta dev\nscenarios anything\n";
    let bad = "harness-model harness-wire dev\nnew serde\nharness lapin dev\nscenarios insta";
    let said = forbidden_edges(&format!("{fine}{bad}"));
    assert_eq!(said[0], "harness-model may not depend on harness-wire");
    assert_eq!(said[1], "new: say in USERS who may depend on it");
    assert_eq!(said[2], "harness may not depend on lapin");
    assert_eq!(said[3..], ["scenarios may not depend on insta"]);
}

#[test]
fn every_scenario_is_in_the_catalogue_under_the_name_of_its_file() {
    let catalogue: Vec<_> = scenarios::CATALOGUE.iter().map(|listed| listed.name).collect();
    assert_none(&out_of_catalogue(&scenario_files(), &catalogue));
    let files = texts(&[("a::b", "scenario!(\"a::b\""), ("a::c", "scenario!(\"a::x\"")]);
    let said = out_of_catalogue(&files, &["a::c", "a::x"]);
    assert_eq!(said[0], "a::b is not in the catalogue exactly once");
    assert_eq!(said[1], "the file of a::c declares a scenario of another name");
    assert_eq!(said[2..], ["a::x has no file of its name"]);
}

#[test]
fn every_golden_has_an_owner() {
    let sources = sources();
    let scenarios = scenario_files().into_iter();
    let mut owners: Texts = scenarios
        .map(|(name, text)| (name.replace("::", "/"), text))
        .collect();
    for (folder, tests) in table(GOLDEN_TESTS) {
        let of_tests = sources.iter().filter(|(path, _)| path.starts_with(tests));
        owners.insert(
            folder.to_owned(),
            of_tests.map(|(_, text)| text.as_str()).collect(),
        );
    }
    assert_none(&orphans(
        files("golden", ".snap").keys().map(String::as_str),
        &owners,
    ));
    let owners = texts(&[("a/b", "cx.golden(\"y\"")]);
    let said = orphans(["a/gone/x.snap", "a/b/x.snap", "a/b/y.snap"], &owners);
    assert_eq!(said[0], "a/gone/x.snap: no scenario and no test owns this folder");
    assert_eq!(said[1..], ["a/b/x.snap: its owner compares nothing with \"x\""]);
}

#[test]
fn no_file_is_long_without_a_reason() {
    let sources = sources();
    assert_none(&wrong_length(&sources, LONG));
    for path in table(LONG).keys() {
        assert!(sources.contains_key(*path), "{path} is gone");
    }
    let bad = ["\n".repeat(LINES), "\n".repeat(LINES + 1)];
    let bad = texts(&[("excused", &bad[0]), ("long", &bad[1]), ("reasoned", &bad[1])]);
    let said = wrong_length(&bad, "excused: it was long\nreasoned: it is one table");
    assert_eq!(said, ["excused needs no excuse any more", "long has 601 lines"]);
}

#[test]
fn scenarios_know_roles_and_neither_names_nor_libraries() {
    let topologies = files("fixtures/topologies", ".toml");
    let names: BTreeSet<_> = topologies.values().flat_map(|text| names_of(text)).collect();
    assert!(
        names.contains("report_analysis") && !names.contains("tags"),
        "{names:?}"
    );
    for (scenario, text) in scenario_files() {
        assert_eq!(hidden_crates(&text), [""; 0], "{scenario}");
        assert_eq!(literal_names(&text, &names), [""; 0], "{scenario}");
    }
    let names =
        names_of("[queues.work]\nname = \"w.q\"\n[[inject]]\ntable = \"reports\"\n[a]\ntable = \"work\"");
    let bad = "use lapin::Channel; // for instance\ncx.rows(\"reports\").on(\"the w.q\");";
    assert_eq!(hidden_crates(bad), ["lapin"]);
    assert_eq!(literal_names(bad, &names), ["reports", "w.q"]);
    assert_eq!(literal_names("\"two reports\" on \"work\"", &names), [""; 0]);
}

#[test]
fn nothing_that_looks_for_bugs_knows_one_by_name() {
    let catalogues = files("fixtures/bugs", ".toml");
    let names: BTreeSet<_> = catalogues.values().flat_map(|text| ids(text)).collect();
    assert!(names.len() > 20, "{names:?}");
    for top in ["harness", "scenarios/src"] {
        for (path, text) in files(top, ".rs") {
            assert_eq!(spoken(&text, &names), [""; 0], "{top}/{path}");
        }
    }
    let names = ids("[[bug]]\nid = \"late-ack\"\n[[bug]]\nid = \"late\"\n")
        .into_iter()
        .collect();
    assert_eq!(
        spoken("a late x-late-ack, not `late-ack`\\n", &names),
        ["late-ack"]
    );
}

#[test]
fn nothing_sleeps_outside_the_modules_that_may() {
    let mut sources = sources();
    for path in table(SLEEPERS).keys() {
        let text = sources.remove(*path).unwrap_or_else(|| panic!("{path} is gone"));
        assert_ne!(naps(&text), [0; 0], "{path} does not sleep any more");
    }
    for (path, text) in sources {
        assert_eq!(naps(&text), [0; 0], "{path} sleeps on these lines");
    }
    let bad = [
        "// do not ",
        NAPS[0],
        "\nthread::",
        NAPS[0],
        "x)\ntime::",
        NAPS[1],
        "y)",
    ]
    .concat();
    assert_eq!(naps(&bad), [2, 3]);
}

#[test]
fn the_readme_shows_all_exit_codes_and_the_scenario_as_it_is() {
    let readme = read(&root().join("README.md"));
    let help = read(&root().join("golden/runner/help.snap"));
    assert_none(&undocumented_exits(&help, &readme));
    let said = undocumented_exits(
        "Exit codes:\n    0  fine\n    1  bad\n\nmore  lines",
        "| 0 | fine |",
    );
    assert_eq!(said, ["| 1 | bad |"]);
    assert!(readme.contains(&scenario_files()["broker::killed_mid_flight"]));
}
