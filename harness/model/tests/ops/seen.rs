//! Secrets.

use harness_model::ops::secrets::{EXPOSED, Place, Search, Secret, Sighting, exposed, marked};
use harness_model::verdict::Finding;
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use crate::Cases;

const VALUE: &str = "s3cr+t/pass word";

fn secret() -> Secret {
    Secret::new("db-password", VALUE).unwrap()
}

/// What is said of a place with this in it: texts are recorded with marks, bytes are searched as they are.
fn found(place: Place, name: &str, held: &[u8]) -> Vec<Finding> {
    let secrets = match place {
        Place::Arguments | Place::Log => marked(&secret().redact(&String::from_utf8_lossy(held))),
        Place::File | Place::Object | Place::Image => {
            let mut search = Search::new(&[secret()]);
            held.chunks(5).for_each(|chunk| search.take(chunk));
            search.found()
        }
    };
    let seen = secrets.into_iter().map(|found| Sighting {
        secret: found,
        place,
        name: secret().redact(name),
        event: Some(7),
    });
    exposed(&seen.collect::<Vec<_>>())
}

#[test]
fn no_secret_is_exposed() {
    let mut cases = Cases::of(EXPOSED);
    let by_file = "mysqldump --defaults-extra-file=/root/f --all-databases";
    cases.accept("by file", &found(Place::Arguments, by_file, by_file.as_bytes()));
    cases.accept("a part of it", &found(Place::Log, "b.log", b"s3cr+t/pass"));
    cases.accept("nothing", &found(Place::File, "f", b""));
    cases.accept("another", &found(Place::Object, "gs://b/o", b"s3cr+t/pass-word"));
    cases.accept("an image without", &found(Place::Image, "app:1", &[0; 4096]));

    let argv = format!("mysqldump -p{VALUE} --all-databases");
    cases.reject(
        "in the arguments",
        &found(Place::Arguments, &argv, argv.as_bytes()),
        1,
    );
    let line = format!("connect with {VALUE}");
    cases.reject(
        "in a log",
        &found(Place::Log, &format!("backup-1: {line}"), line.as_bytes()),
        1,
    );
    let packed = b"\"auth\": \"czNjcit0L3Bhc3Mgd29yZA==\"";
    cases.reject("in a file, encoded", &found(Place::File, "auth.json", packed), 1);
    let address = b"\0DB=mysql://u:s3cr%2Bt%2Fpass%20word@db/\0";
    cases.reject("in an object", &found(Place::Object, "gs://b/env", address), 1);
    let layer = [&[0; 600][..], VALUE.as_bytes(), &[0; 600]].concat();
    cases.reject("in a layer of an image", &found(Place::Image, "app:1", &layer), 1);
    let both = [&layer[..], address].concat();
    cases.reject("in two ways", &found(Place::Image, "app:2", &both), 2);
    for line in cases.text.lines() {
        assert!(!line.contains(VALUE), "{line}");
    }
    cases.review();
    assert_eq!(found(Place::Image, "app:1", &layer)[0].events, [7]);
    assert!(!format!("{:?}", secret()).contains(VALUE));
    let short = Secret::new("pin", "1234").unwrap_err();
    assert_eq!(
        short.to_string(),
        "look for secret pin: it has fewer than 8 characters, so it would be found by chance"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_is_found_wherever_it_stands_and_never_said(
        value in "[!-~]{8,40}", before in "[a-z \n]{0,40}", after in "[a-z \n]{0,40}",
    ) {
        let secret = Secret::new("S", value.clone()).unwrap();
        let text = format!("{before}{value}{after}");
        let mut search = Search::new(std::slice::from_ref(&secret));
        search.take(text.as_bytes());
        prop_assert!(search.found().contains(&"S".to_owned()));
        let redacted = secret.redact(&text);
        prop_assert!(!redacted.contains(&value) || "<secret:S>".contains(&value));
        prop_assert!(marked(&redacted) == ["S"]);
    }
}
