//! Secrets.

use harness_model::ops::secrets::{EXPOSED, Place, Secret, Seen, exposed};
use proptest::prelude::{ProptestConfig, prop_assert, proptest};

use crate::Cases;

const VALUE: &str = "s3cr+t/pass word";

fn secret() -> Secret {
    Secret::new("db-password", VALUE).unwrap()
}

fn seen<'a>(place: Place, name: &'a str, text: &'a str) -> Seen<'a> {
    Seen {
        place,
        name,
        text: text.as_bytes(),
    }
}

#[test]
fn no_secret_is_exposed() {
    let mut cases = Cases::of(EXPOSED);
    let found = |one: Seen<'_>| exposed(&[secret()], &[one]);
    cases.accept(
        "by file",
        &found(seen(
            Place::Arguments,
            "mysqldump",
            "mysqldump --defaults-extra-file=/root/f --all-databases",
        )),
    );
    cases.accept("a part of it", &found(seen(Place::Log, "b.log", "s3cr+t/pass")));
    cases.accept("nothing", &found(seen(Place::File, "f", "")));

    let argv = format!("mysqldump -p{VALUE} --all-databases");
    cases.reject(
        "in the arguments",
        &found(seen(Place::Arguments, &argv, &argv)),
        1,
    );
    let log = format!("one\ntwo\nconnect with {VALUE}\n");
    cases.reject("in a log", &found(seen(Place::Log, "b.log", &log)), 1);
    cases.reject(
        "encoded",
        &found(seen(
            Place::File,
            "auth.json",
            "\"auth\": \"czNjcit0L3Bhc3Mgd29yZA==\"",
        )),
        1,
    );
    cases.reject(
        "in an address",
        &found(seen(
            Place::Image,
            "app:1",
            "DB=mysql://u:s3cr%2Bt%2Fpass%20word@db/",
        )),
        1,
    );
    for line in cases.text.lines() {
        assert!(!line.contains(VALUE), "{line}");
    }
    cases.review();
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
        let found = exposed(std::slice::from_ref(&secret), &[seen(Place::Log, "the log", &text)]);
        prop_assert!(found.len() == 1);
        prop_assert!(!secret.redact(&text).contains(&value) || "<secret:S>".contains(&value));
    }
}
