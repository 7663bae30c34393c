//! The shipped files parse; what is wrong in a file is reported as the goldens say.

use std::path::Path;

use proptest::prelude::*;

use super::template::{Address, Values};
use super::*;

const CI: &str = include_str!("../../../../fixtures/topologies/ci.toml");
const PRODUCTION: &str = include_str!("../../../../fixtures/topologies/production.toml");

pub(super) fn ci() -> Topology {
    Topology::parse("ci.toml", CI).unwrap()
}

#[test]
fn the_shipped_files_parse_and_agree_on_roles() {
    let production = Topology::parse("production.toml", PRODUCTION).unwrap();
    let ci = ci();
    assert!(ci.services.keys().eq(production.services.keys()));
    assert!(ci.routes.keys().eq(production.routes.keys()));
    assert_eq!(ci.effects, production.effects);
    assert_eq!(
        ci.consumer_of("tags").map(|(role, _)| role.as_str()),
        Some("tags")
    );
    assert_eq!(
        ci.queue_role("report-analyze").map(Name::as_str),
        Some("analysis")
    );
    assert_eq!(
        production
            .route_role("cleanapp-exchange", "report.raw")
            .map(Name::as_str),
        Some("raw")
    );
    let sinks: Vec<_> = production
        .queues
        .iter()
        .filter(|(_, queue)| queue.sink)
        .map(|(role, _)| &**role)
        .collect();
    assert_eq!(sinks, ["ownership"]);
}

#[test]
fn a_topology_survives_json() {
    let json = serde_json::to_string(&ci()).unwrap();
    assert_eq!(serde_json::from_str::<Topology>(&json).unwrap(), ci());
}

#[test]
fn a_service_gets_its_environment() {
    let ci = ci();
    let address = |host: &str, port, name: &str| Address {
        host: host.to_owned(),
        port,
        user: "user".to_owned(),
        password: "{not a template}".to_owned(),
        name: name.to_owned(),
    };
    let (database, broker) = (
        address("10.0.0.1", 3306, "trial_7"),
        address("10.0.0.2", 5672, "/trial-7"),
    );
    let renderer = &ci.services["renderer"];
    let values = Values::new(&ci, Some(renderer), &database, &broker);
    let env = ci.environment(renderer, &values).unwrap();
    for (name, value) in [
        ("SERVER_PORT", "8082"),
        ("RABBITMQ_RENDERER_QUEUE_NAME", "report-renderer"),
        ("RABBITMQ_EXCHANGE", "cleanapp"),
        ("RABBITMQ_ANALYSED_REPORT_ROUTING_KEY", "report.analysed"),
        ("RABBITMQ_PREFETCH_COUNT", "8"),
        ("DB_HOST", "10.0.0.1"),
        ("DB_NAME", "trial_7"),
        ("DB_PASSWORD", "{not a template}"),
        ("AMQP_PORT", "5672"),
        ("AMQP_VHOST", "/trial-7"),
    ] {
        assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(!env.contains_key("RABBITMQ_QUEUE"));
}

#[test]
fn an_image_is_set_by_role() {
    let mut ci = ci();
    ci.set_image("services", "registry.test/pipeline:2").unwrap();
    ci.set_image("tags", "registry.test/tags:3").unwrap();
    ci.set_image("broker", "rabbitmq:3").unwrap();
    let images: Vec<_> = ci
        .services
        .values()
        .map(|service| service.image.as_str())
        .collect();
    assert_eq!(
        images,
        [
            "registry.test/pipeline:2",
            "registry.test/pipeline:2",
            "registry.test/tags:3"
        ]
    );
    assert_eq!(
        (ci.broker.image.as_str(), ci.database.image.as_str()),
        ("rabbitmq:3", "mysql:8.4")
    );
    assert_eq!(
        ci.set_image("analyser", "x").unwrap_err().to_string(),
        "unknown role `analyser` of an image: did you mean `analyzer`?; \
         known: broker, database, services, ops, registry, analyzer, renderer, tags"
    );
    assert_eq!(
        ci.set_image("tags", "").unwrap_err(),
        ImageError::Empty {
            role: "tags".to_owned()
        }
    );
}

/// Each is the CI file with a few replacements of text that occurs in it; the golden of that name shows what is
/// reported.
const MALFORMED: &[(&str, &[(&str, &str)])] = &[
    ("syntax", &[("[services.tags]", "[services.tags")]),
    ("duplicate_key", &[("port = 8081", "port = 8081\nport = 8082")]),
    ("unknown_field", &[("prefetch = 8", "prefecth = 8")]),
    ("unknown_word", &[("kind = \"direct\"", "kind = \"dierct\"")]),
    ("missing_field", &[("port = 8080\n", "")]),
    ("missing_table", &[("[database]\nimage = \"mysql:8.4\"\n", "")]),
    ("wrong_type", &[("port = 8080", "port = \"8080\"")]),
    ("number_out_of_range", &[("port = 8080", "port = 80800")]),
    (
        "unknown_roles",
        &[
            ("raw = { exchange = \"main\"", "raw = { exchange = \"mian\""),
            ("bind = [\"analysed\"]", "bind = [\"raw\", \"analyzed\"]"),
            (
                "dead_letter = { exchange = \"dead\", key = \"report-tags",
                "dead_letter = { exchange = \"dlx\", key = \"report-tags",
            ),
            ("consumes = \"analysis\"", "consumes = \"analysys\""),
            ("produces = [\"analysed\"]", "produces = [\"emitted\"]"),
            (
                "points = { service = \"renderer\"",
                "points = { service = \"map\"",
            ),
            (
                "brands = { service = \"renderer\"",
                "brands = { service = \"rendere\"",
            ),
            ("totals = { service = \"renderer\"", "totals = { service = \"\""),
            ("route = \"analysed\"", "route = \"analysd\""),
        ],
    ),
    (
        "start_order",
        &[
            (
                "consumes = \"analysis\"",
                "consumes = \"analysis\"\nstart_after = [\"renderer\", \"web\"]",
            ),
            (
                "consumes = \"tags\"",
                "consumes = \"tags\"\nstart_after = [\"analyzer\"]",
            ),
            (
                "consumes = \"renderer\"",
                "consumes = \"renderer\"\nstart_after = [\"tags\"]",
            ),
        ],
    ),
    (
        "names",
        &[
            ("name = \"ci\"", "name = \"\""),
            ("name = \"report-tags\"", "name = \"report-analyze\""),
            (
                "queue = \"report-renderer.retry\"",
                "queue = \"report-renderer.dlq\"",
            ),
            (
                "exchange = \"cleanapp-retry.report-tags\"",
                "exchange = \"cleanapp\"",
            ),
            ("policy = \"dlx-report-tags\"", "policy = \"dlx-report-analyze\""),
            (
                "key = [\"seq\", \"report.seq\"]",
                "key = [\"seq\", \"report..seq\"]",
            ),
            ("raw = {", "\"raw.de\" = {"),
            ("key = \"report.analysed\"", "key = \"report.raw\""),
        ],
    ),
    (
        "limits",
        &[
            (
                "queue = \"report-analyze.retry\", ttl_ms = 1000",
                "queue = \"report-analyze.retry\", ttl_ms = 0",
            ),
            ("port = 8080", "port = 0"),
            (
                "produces = [\"analysed\"]\nprefetch = 8\nconcurrency = 4",
                "prefetch = 0\nconcurrency = 0",
            ),
            (
                "consumes = \"tags\"\nprefetch = 8\nconcurrency = 4",
                "consumes = \"tags\"\nprefetch = 4\nconcurrency = 8",
            ),
            ("broker = \"/rabbitmq_connected\"", "status = 1000"),
            ("languages = [\"en\", \"de\"]", "languages = []"),
        ],
    ),
    (
        "paths_and_pointers",
        &[
            ("path = \"/api/v3/health\"", "path = \"api/v3/health\""),
            (
                "broker = \"/rabbitmq_connected\"",
                "broker = \"rabbitmq_connected\"",
            ),
            ("path = \"/stats\"", "path = \"stats\""),
            ("key = \"/seq\" }", "key = \"/seq~2\" }"),
            ("at = \"/report\"", "at = \"report\""),
        ],
    ),
    (
        "templates",
        &[
            ("DB_HOST = \"{database.host}\"", "DB_HOST = \"{database.hots}\""),
            ("DB_PORT = \"{database.port}\"", "DB_PORT = \"{database.port\""),
            ("PORT = \"{port}\"\n", "PORT = \"port}\"\n"),
            (
                "SEQ_START_FROM = \"1\"",
                "SEQ_START_FROM = \"{\\\"first\\\": 1}\"",
            ),
            ("consumes = \"tags\"\n", ""),
            (
                "retry = { exchange = \"cleanapp-retry.report-tags\"",
                "sink = true\nretry = { exchange = \"cleanapp-retry.report-tags\"",
            ),
        ],
    ),
    (
        "steps",
        &[(
            "sql = [\"../schema/*.sql\"]",
            "sql = [\"../*/schema.sql\", \"../schema/\"]\nimage = \"migrate:1\"\n\n[[steps]]\nname = \"\"\ncommand = [\"up\"]",
        )],
    ),
    (
        "sinks",
        &[
            ("consumes = \"analysis\"\n", ""),
            ("RABBITMQ_QUEUE = \"{queue}\"\nANALYZER", "ANALYZER"),
            (
                "name = \"report-renderer\"\nbind = [\"analysed\"]",
                "name = \"report-renderer\"\nbind = []\nsink = true",
            ),
            (
                "dead = { name = \"cleanapp-dlx\", kind = \"direct\" }",
                "dead = { name = \"cleanapp-dlx\", kind = \"fanout\" }",
            ),
        ],
    ),
    (
        "tables_and_columns",
        &[
            (
                "source = { table = \"reports\"",
                "source = { table = \"reports; DROP TABLE reports\"",
            ),
            ("count = \"usage_count\"", "count = \"usage count\""),
            ("ignore = [\"created_at\"", "ignore = [\"created-at\""),
            ("if = \"url\"", "if = \"URL\""),
            ("for_each = \"owners\"", "for_each = \"owner\""),
            ("is_public = \"owners_public\"", "\"is public\" = \"public\""),
            ("status = \"status\"", "status = \"item\""),
            ("table = \"source\"", "table = \"sources\""),
            ("\"y\", \"action_id\"", "\"y\", \"\""),
            (
                "key = \"report.analysed\", record = true",
                "key = \"report.analysed\"",
            ),
        ],
    ),
    (
        "ops",
        &[
            ("registry = \"registry:2\"", "registry = \"\"\nhome = \"srv\""),
            ("PLATFORM_TAG = \"prod\"", "PLATFORM_TAG = \"{ops.tag}\""),
            (
                "db-password = \"{database.password}\"",
                "db-password = \"{database.pasword}\"",
            ),
            (
                "current = \"docker-compose.digests.current.yml\"",
                "current = \"digests/current.yml\"\nservices = { web = \"web\" }",
            ),
            ("internal = \"{ops.registry}/", "internal = \"{ops.registri}/"),
            (
                "[ops.roll_back]\nscript = \"../ops/deploy/roll_back.sh\"",
                "[ops.roll_back]\nscript = \"\"",
            ),
        ],
    ),
    ("reserved_role", &[("[services.tags]", "[services.database]")]),
];

#[test]
fn mistakes_are_reported_as_reviewed() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../golden/topology"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (name, edits) in MALFORMED {
        let text = edits.iter().fold(CI.to_owned(), |text, (old, new)| {
            assert!(text.contains(old), "{name}: `{old}` is not in the CI file");
            text.replacen(old, new, 1)
        });
        let error = Topology::parse("ci.toml", &text).unwrap_err();
        settings.bind(|| insta::assert_snapshot!(*name, error.render(100, false)));
    }
}

/// An error has mistakes, all of them within the text, and can be shown with their lines.
fn assert_shown(text: &str) {
    let Err(error) = Topology::parse("a.toml", text) else {
        return;
    };
    let shown = error.render(80, true);
    assert!(!error.mistakes().is_empty());
    for mistake in error.mistakes() {
        assert!(
            mistake.span.offset() + mistake.span.len() <= text.len(),
            "{mistake:?}"
        );
    }
    assert!(
        shown.contains("a.toml") && !shown.contains("Failed to read"),
        "{shown}"
    );
}

#[test]
fn mistakes_at_the_end_of_the_text_are_shown() {
    for text in ["", "\n", "x", "x =", "x = \"", "[", "x = 1", "x = [\n"] {
        assert!(Topology::parse("a.toml", text).is_err(), "{text:?}");
        assert_shown(text);
    }
}

proptest! {
    #[test]
    fn a_damaged_file_never_panics(
        from in 0..CI.len(),
        length in 0..40_usize,
        put in r#"([{}\[\]="\n~/.0a]|\PC){0,6}"#,
    ) {
        let to = (from + length).min(CI.len());
        assert_shown(&format!("{}{put}{}", &CI[..from], &CI[to..]));
    }
}
