//! Pins, what runs, versions.

use harness_model::ops::compose::Config;
use harness_model::ops::migrated::{self, Made};
use harness_model::ops::pins::{
    COMPLETE, PARSES, Pinned, Reference, THIRD_PARTY, complete, parses, third_party,
};
use harness_model::ops::policy::Policy;
use harness_model::ops::ports::Open;
use harness_model::ops::running::{DIGEST, DRIFT, Manifest, Running, digests, drift, inspected};
use harness_model::ops::versions::{AGREE, Answer, Expected, agree};
use proptest::prelude::{ProptestConfig, prop_assert_eq, proptest};

use crate::{Cases, TODAY};

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const INTERNAL: &str = "registry.test:5000/app/";

/// A configuration with these services, `name=image`, and a volume `data`.
fn config(services: &[&str]) -> Config {
    let services = services.iter().map(|service| {
        let (name, image) = service.split_once('=').unwrap();
        format!(r#""{name}":{{"image":"{image}","command":null,"networks":{{"default":null}}}}"#)
    });
    let services: Vec<_> = services.collect();
    let json = format!(
        r#"{{"name":"app","services":{{{}}},"volumes":{{"data":{{"name":"app_data"}}}},"x-more":1}}"#,
        services.join(",")
    );
    Config::parse("compose.yml", &json).unwrap()
}

fn base() -> Config {
    config(&[
        "tags=registry.test:5000/app/tags:prod",
        "web=registry.test:5000/app/web:prod",
        "broker=rabbitmq:4",
    ])
}

fn pin(name: &str, hex: &str) -> String {
    format!("{name}=registry.test:5000/app/{name}@sha256:{hex}")
}

fn pinned(services: &[&str]) -> Vec<harness_model::verdict::Finding> {
    let (base, merged) = (base(), config(services));
    complete(&Pinned {
        file: "pins.yml",
        base: &base,
        merged: &merged,
        internal: INTERNAL,
    })
}

#[test]
fn an_override_has_to_be_read_by_compose() {
    let mut cases = Cases::of(PARSES);
    let merged = base();
    let good = "services:\n  tags:\n    image: x\n";
    cases.accept("pins", &parses("pins.yml", good, Ok(&merged)));
    let literal = r"services:\n  tags:\n    image: x\n";
    let said = "yaml: mapping values are not allowed in this context\n";
    cases.reject(
        "a literal \\n that Compose refuses",
        &parses("pins.yml", literal, Err(said)),
        1,
    );
    cases.reject(
        "one that Compose takes for a name",
        &parses("pins.yml", literal, Ok(&merged)),
        1,
    );
    cases.reject(
        "another mistake",
        &parses("pins.yml", "services: [", Err("yaml: line 1: did not find ','")),
        1,
    );
    cases.reject("an empty file", &parses("pins.yml", " \n", Ok(&merged)), 1);
    cases.review();
}

#[test]
fn every_internal_service_is_pinned_and_nothing_else() {
    let mut cases = Cases::of(COMPLETE);
    let (tags, web, broker) = (pin("tags", A), pin("web", B), "broker=rabbitmq:4");
    cases.accept("all", &pinned(&[&tags, &web, broker]));
    let third = format!("broker=rabbitmq@sha256:{A}");
    cases.accept("a third party's image, too", &pinned(&[&tags, &web, &third]));
    let tag_and_pin = format!("tags=registry.test:5000/app/tags:prod@sha256:{A}");
    cases.accept("tag and digest", &pinned(&[&tag_and_pin, &web, broker]));

    let loose = "web=registry.test:5000/app/web:prod";
    cases.reject(
        "a partial deploy that dropped a pin",
        &pinned(&[&tags, loose, broker]),
        1,
    );
    let moved = "web=registry.test:5000/app/web:v2";
    cases.reject("a tag for a pin", &pinned(&[&tags, moved, broker]), 1);
    cases.reject(
        "a digest that is short",
        &pinned(&[&tags, &pin("web", "b0"), broker]),
        1,
    );
    let upper = pin("web", &A.to_uppercase());
    cases.reject("a digest in capitals", &pinned(&[&tags, &upper, broker]), 1);
    let sha512 = "web=registry.test:5000/app/web@sha512:aa";
    cases.reject("another algorithm", &pinned(&[&tags, sha512, broker]), 1);
    let swapped = format!("web=registry.test:5000/app/tags@sha256:{A}");
    cases.reject(
        "a pin of another repository",
        &pinned(&[&tags, &swapped, broker]),
        1,
    );
    let elsewhere = format!("web=elsewhere.test/web@sha256:{A}");
    cases.reject(
        "a pin in another registry",
        &pinned(&[&tags, &elsewhere, broker]),
        1,
    );
    cases.reject(
        "a misspelt service",
        &pinned(&[&tags, &web, broker, &pin("tagz", A)]),
        1,
    );
    cases.reject("a volume", &pinned(&[&tags, &web, broker, &pin("data", A)]), 1);
    cases.reject("a service that is gone", &pinned(&[&tags, broker]), 1);
    cases.review();
}

#[test]
fn an_image_from_elsewhere_is_pinned_or_excepted() {
    let mut cases = Cases::of(THIRD_PARTY);
    let policy = |expires: &str| {
        let text = format!(
            "[[images.exception]]\nimage = \"rabbitmq\"\nowner = \"operations\"\nreason = \"r\"\nexpires = {expires}\n"
        );
        Policy::parse("policy.toml", &text).unwrap().images
    };
    let none = Policy::default().images;
    for (image, covered) in [
        ("rabbitmq:3", true),
        ("docker.io/library/rabbitmq:3", true),
        ("registry.test/rabbitmq:3", false),
    ] {
        assert_eq!(
            policy("2027-01-01").exceptions[0].covers(image),
            covered,
            "{image}"
        );
    }
    let pinned = config(&[
        &format!("broker=rabbitmq:4@sha256:{A}"),
        "tags=registry.test:5000/app/tags:prod",
    ]);
    cases.accept("pinned", &third_party(&pinned, &none, INTERNAL, TODAY));
    cases.accept(
        "the last day of an exception",
        &third_party(&base(), &policy("2026-11-24"), INTERNAL, TODAY),
    );
    cases.reject("neither", &third_party(&base(), &none, INTERNAL, TODAY), 1);
    cases.reject(
        "the day after",
        &third_party(&base(), &policy("2026-11-23"), INTERNAL, TODAY),
        1,
    );
    cases.review();
    let unused = policy("2027-01-01").unused(&pinned);
    assert_eq!(
        unused,
        ["nobody needs the exception of operations for image rabbitmq any more"]
    );
    assert!(policy("2027-01-01").unused(&base()).is_empty());
}

/// What the engine says of one container of `service`, whose image is known under these digests.
fn running(service: &str, image: &str, state: &str, digests: &[String]) -> Vec<Running> {
    let containers = format!(
        r#"[{{"Id":"c1","Name":"/app-{service}-1","Image":"sha256:id","State":{{"Status":"{state}","Health":{{"Status":"healthy"}}}},
           "Config":{{"Image":"{image}","Labels":{{"com.docker.compose.project":"app","com.docker.compose.service":"{service}"}}}},
           "NetworkSettings":{{"Ports":{{"80/tcp":[{{"HostIp":"127.0.0.1","HostPort":"8080"}}],"81/tcp":null}},"Networks":{{"app_default":{{}}}}}}}}]"#
    );
    let images = serde_json::json!([{ "Id": "sha256:id", "RepoDigests": digests }]);
    inspected(&containers, &images.to_string()).unwrap()
}

fn digest(name: &str, hex: &str) -> String {
    format!("registry.test:5000/app/{name}@sha256:{hex}")
}

#[test]
fn what_runs_has_the_pinned_digest() {
    let mut cases = Cases::of(DIGEST);
    let merged = config(&[&pin("tags", A)]);
    let found =
        |image: &str, state: &str, known: &[String]| digests(&merged, &running("tags", image, state, known));
    let pinned = digest("tags", A);
    cases.accept(
        "the pin",
        &found(&pinned, "running", std::slice::from_ref(&pinned)),
    );
    let several = [digest("tags", B), pinned.clone()];
    cases.accept(
        "an image of two digests",
        &found("registry.test:5000/app/tags:prod", "running", &several),
    );
    cases.accept("what has no pin", &digests(&base(), &[]));

    for (pinned, known, same) in [
        ("redis", "docker.io/library/redis", true),
        ("docker.io/redis", "redis", true),
        ("index.docker.io/library/redis", "docker.io/redis", true),
        ("registry-1.docker.io/team/redis", "team/redis", true),
        ("localhost/redis", "localhost/redis", true),
        ("localhost/redis", "redis", false),
        ("docker.io:5000/redis", "redis", false),
        (
            "registry.test:5000/library/redis",
            "registry.test:5000/redis",
            false,
        ),
        ("registry.test:5000/redis", "registry.test/redis", false),
        ("team/redis", "library/redis", false),
    ] {
        let of = |repository: &str| format!("{repository}@sha256:{A}");
        let merged = config(&[&format!("cache={}", of(pinned))]);
        let found = running("cache", pinned, "running", &[of(known)]);
        assert_eq!(digests(&merged, &found).is_empty(), same, "{pinned}, {known}");
        assert_eq!(
            found[0].container.pinned_image.is_some(),
            same,
            "{pinned}, {known}"
        );
    }
    let host = running("tags", "i", "running", &[]).pop().map(|mut one| {
        one.container.networks = ["host".to_owned()].into();
        one
    });
    let open = Open::of_running(host.as_slice());
    assert_eq!(open[0].seen, "container app-tags-1 (on the network host)");

    let tag = "registry.test:5000/app/tags:prod";
    cases.reject(
        "what the tag is now",
        &found(tag, "running", &[digest("tags", B)]),
        1,
    );
    cases.reject("an image without a digest", &found(tag, "running", &[]), 1);
    cases.reject(
        "the digest in another repository",
        &found(tag, "running", &[digest("web", A)]),
        1,
    );
    cases.reject(
        "a container that has ended",
        &found(&pinned, "exited", std::slice::from_ref(&pinned)),
        1,
    );
    let other = running("web", tag, "running", &[digest("web", A)]);
    cases.reject("no container", &digests(&merged, &other), 1);
    let both = config(&[&pin("tags", A), &pin("web", A)]);
    let put_back = |web: &str| {
        let of = |name: &str, hex: &str| {
            let image = digest(name, hex);
            running(name, &image, "running", std::slice::from_ref(&image))
        };
        digests(&both, &[of("tags", A), of("web", web)].concat())
    };
    cases.accept("a failed deploy that was put back", &put_back(A));
    cases.reject("a failed deploy that was put back in part", &put_back(B), 1);
    let mut on_demand = merged.clone();
    on_demand.services.get_mut("tags").unwrap().profiles = ["tools".to_owned()].into();
    cases.accept("none of a service of a profile", &digests(&on_demand, &other));
    cases.review();
}

#[test]
fn a_platform_is_what_its_manifest_says() {
    let mut cases = Cases::of(DRIFT);
    let manifest = |running: &[Running]| Manifest::of("prod", TODAY, running);
    let tags = running(
        "tags",
        "registry.test:5000/app/tags:prod",
        "running",
        &[digest("tags", A)],
    );
    let before = manifest(&tags);
    insta::assert_snapshot!(serde_json::to_string(&before).unwrap(), @r#"{"schema_version":1,"env":"prod","captured_date":"2026-11-24","containers":{"app-tags-1":{"config_image":"registry.test:5000/app/tags:prod","repo_digests":["registry.test:5000/app/tags@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],"pinned_image":"registry.test:5000/app/tags@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","image_id":"sha256:id","state":"running","health":"healthy","ports":{"80/tcp":["127.0.0.1:8080"],"81/tcp":[]},"networks":["app_default"]}},"containers_missing_repo_digests":[],"summary":{"containers":1,"running":1,"unhealthy":0,"missing_repo_digests":0}}"#);
    let read: Manifest = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
    cases.accept("the same", &drift(&read, &before));
    let mut weary = tags.clone();
    weary[0].container.health = Some("unhealthy".to_owned());
    cases.accept("health comes and goes", &drift(&before, &manifest(&weary)));

    let mut changed = tags.clone();
    changed[0].container.image_id = "sha256:other".to_owned();
    changed[0].container.state = "exited".to_owned();
    changed[0].container.ports.clear();
    changed[0].container.networks.clear();
    cases.reject(
        "another image, state, port and network",
        &drift(&before, &manifest(&changed)),
        4,
    );
    let web = running("web", "registry.test:5000/app/web:prod", "running", &[]);
    let after = manifest(&web);
    assert!(after.containers_missing_repo_digests.contains("app-web-1"));
    cases.reject("another container", &drift(&before, &after), 2);
    cases.review();
}

#[test]
fn migrations_come_before_the_containers_of_their_deploy() {
    let mut cases = Cases::of(migrated::FIRST);
    let at = |time: &str| format!("2026-11-24T{time}Z").parse::<jiff::Timestamp>().unwrap();
    let began = at("10:00:00");
    let made = |containers: &[(&str, &str)]| {
        let made = containers.iter().map(|(name, time)| Made {
            name: (*name).to_owned(),
            at: at(time),
        });
        made.collect::<Vec<_>>()
    };
    let found = |applied: &[&str], containers: &[(&str, &str)]| {
        let applied: Vec<_> = applied.iter().map(|time| at(time)).collect();
        migrated::first("migrations", Some(&applied), began, &made(containers))
    };
    let old = ("web", "09:00:00");
    cases.accept(
        "before, by a microsecond",
        &found(&["10:00:02.000001"], &[("tags", "10:00:02.000002")]),
    );
    cases.accept(
        "a container from before the deploy",
        &found(&["10:00:01"], &[old, ("tags", "10:00:02")]),
    );
    cases.accept(
        "a deploy without any",
        &found(&["08:00:00"], &[old, ("tags", "10:00:00")]),
    );

    cases.reject(
        "after, by a microsecond",
        &found(
            &["08:00:00", "10:00:02.000003"],
            &[("tags", "10:00:02.000002"), ("web", "10:00:03")],
        ),
        1,
    );
    cases.reject(
        "after two containers",
        &found(&["10:00:05"], &[("web", "10:00:03"), ("tags", "10:00:02")]),
        2,
    );
    cases.reject("no container", &found(&["10:00:01"], &[]), 1);
    cases.reject("none of this deploy", &found(&["10:00:01"], &[old]), 1);
    cases.reject("no migration", &found(&[], &[("tags", "10:00:02")]), 1);
    cases.reject(
        "no table",
        &migrated::first("migrations", None, began, &made(&[("tags", "10:00:02")])),
        1,
    );
    cases.review();
}

fn answer(of: &str, body: Result<&str, &str>) -> Answer {
    Answer {
        of: of.to_owned(),
        service: Some(of.to_owned()),
        body: body.map(str::to_owned).map_err(str::to_owned),
    }
}

fn version(of: &str, sha: &str) -> Answer {
    let body = format!(
        r#"{{"service":"{of}","version":"1.4","git_sha":"{sha}","build_time":"2026-11-24T03:00:00Z"}}"#
    );
    answer(of, Ok(&body))
}

#[test]
fn services_say_the_same_commit() {
    let mut cases = Cases::of(AGREE);
    let (old, new) = ("0123456789ab", "cdef01234567");
    let any = Expected::default();
    let wanted = Expected {
        git_sha: Some(new.to_owned()),
        ..Expected::default()
    };
    let both = |tags: &str, web: &str| [version("tags", tags), version("web", web)];
    cases.accept("the same", &agree(&both(old, old), &any));
    cases.accept("the expected one", &agree(&both(new, new), &wanted));
    let apart = Expected {
        apart: ["web".to_owned()].into(),
        ..wanted.clone()
    };
    cases.accept("one that may lag behind", &agree(&both(new, old), &apart));
    cases.accept("nobody is asked", &agree(&[], &wanted));

    cases.reject("mixed", &agree(&both(old, new), &any), 1);
    cases.reject("an old one", &agree(&both(old, new), &wanted), 1);
    let silent = answer("tags", Err("connection refused"));
    cases.reject("no answer", &agree(&[silent], &any), 1);
    let bare = answer("tags", Ok(r#"{"service":"tags","version":"1.4"}"#));
    cases.reject("built by hand", &agree(&[bare], &any), 2);
    let odd = answer(
        "tags",
        Ok(r#"{"service":"web","git_sha":"0123","build_time":"24.11.2026"}"#),
    );
    cases.reject("odd fields", &agree(&[odd], &any), 3);
    let typed = answer(
        "tags",
        Ok(r#"{"service":"tags","git_sha":123456789012,"build_time":"2026-11-24T03:00:00Z"}"#),
    );
    cases.reject("a number for a commit", &agree(&[typed], &any), 1);
    cases.reject("a page", &agree(&[answer("tags", Ok("<html>"))], &any), 1);
    cases.review();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reference_is_taken_apart_as_it_was_put_together(
        host in "[a-z]{1,8}(:[0-9]{2,5})?", name in "[a-z]{1,8}(/[a-z]{1,8})?",
        tag in proptest::option::of("[a-z0-9.]{1,8}"), hex in proptest::option::of("[0-9a-f]{60,66}"),
    ) {
        let repository = format!("{host}/{name}");
        let after = |mark: &str, part: &Option<String>| {
            part.as_ref().map_or(String::new(), |part| format!("{mark}{part}"))
        };
        let text = format!("{repository}{}{}", after(":", &tag), after("@sha256:", &hex));
        let reference = Reference::of(&text);
        prop_assert_eq!(reference.repository, repository);
        prop_assert_eq!(reference.tag, tag.as_deref());
        prop_assert_eq!(reference.is_pinned(), hex.is_some_and(|hex| hex.len() == 64));
    }
}
