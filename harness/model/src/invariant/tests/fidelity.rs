//! `event-fidelity`.

use serde_json::{Value, json};

use crate::event::Step;
use crate::invariant::testing::{Trial, accepted, found, rejected};

const RULE: &str = "event-fidelity";

/// One report, whose event was changed after the fact.
fn with_event(change: impl FnOnce(&mut Value)) -> Trial {
    let mut trial = Trial::new();
    trial.report(1);
    trial.change(15, |step| {
        let Step::Publish { message, .. } = step else {
            panic!("the event is published at #15")
        };
        let mut body = serde_json::from_str(message.body.as_ref().unwrap()).unwrap();
        change(&mut body);
        message.body = Some(body.to_string());
    });
    trial
}

#[test]
fn fields_of_another_report() {
    let trial = with_event(|body| {
        body["report"]["description"] = json!("another");
        body["analysis"][1]["title"] = json!(null);
    });
    rejected(
        RULE,
        &trial,
        &["1"],
        "report 1: the event that analyzer published at #15 is wrong: /report/description is \"another\", the database \
         has \"a bin\"; /analysis[de]/title is null, the database has \"Bin\"",
    );
}

#[test]
fn a_number_that_is_close_is_not_equal() {
    let trial = with_event(|body| {
        body["report"]["latitude"] = json!(47.0501);
        body["report"]["team"] = json!(2);
    });
    rejected(
        RULE,
        &trial,
        &["1"],
        "report 1: the event that analyzer published at #15 is wrong: /report/team is 2, the database has 1; \
         /report/latitude is 47.0501, the database has 47.04999923706055",
    );
}

#[test]
fn languages_are_complete_and_english_is_first() {
    let trial = with_event(|body| body["analysis"].as_array_mut().unwrap().reverse());
    rejected(
        RULE,
        &trial,
        &["1"],
        "report 1: the event that analyzer published at #15 is wrong: /analysis begins with de, not with en",
    );
    let trial = with_event(|body| drop(body["analysis"].as_array_mut().unwrap().pop()));
    rejected(
        RULE,
        &trial,
        &["1"],
        "report 1: the event that analyzer published at #15 is wrong: /analysis is in en; each of en, de once would be \
         right",
    );
}

#[test]
fn what_is_no_event_at_all() {
    let wrong = |change: fn(&mut Value)| {
        let mut findings = found(RULE, &with_event(change));
        assert_eq!(findings.len(), 1);
        findings.remove(0).what.rsplit(": ").next().unwrap().to_owned()
    };
    assert_eq!(
        wrong(|body| *body = json!(17)),
        "it names no report at /report/seq"
    );
    assert_eq!(
        wrong(|body| body["analysis"] = json!("none")),
        "/analysis is not a list"
    );
    assert_eq!(
        wrong(|body| body["report"]["seq"] = json!(5))
            .matches("report 5 has no")
            .count(),
        1
    );
    let mut trial = Trial::new();
    trial.report(1);
    trial.change(15, |step| {
        if let Step::Publish { message, .. } = step {
            message.body = Some("{".into());
        }
    });
    assert!(found(RULE, &trial)[0].what.contains("its body is not JSON"));
}

#[test]
fn null_is_absent_and_a_float_may_be_written_either_way() {
    accepted(&with_event(|body| {
        let report = body["report"].as_object_mut().unwrap();
        report.remove("y");
        report.insert("extra".into(), json!("unknown to the database"));
        report.insert("latitude".into(), json!(47.049_999_24));
        report.insert("x".into(), json!(0.5));
        body["analysis"][0]["is_valid"] = json!(1);
        body["analysis"][0]["hazard_probability"] = json!(0);
        body["analysis"][0]["created_at"] = json!("another time");
    }));
}

#[test]
fn a_language_twice_is_wrong_and_a_column_that_differs_from_run_to_run_is_not_looked_at() {
    let twice = with_event(|body| {
        let first = body["analysis"][0].clone();
        body["analysis"].as_array_mut().unwrap().push(first);
    });
    assert!(
        found(RULE, &twice)[0]
            .what
            .ends_with("/analysis is in en, de, en; each of en, de once would be right")
    );

    let mut other = with_event(|body| body["analysis"][0]["summary"] = json!("another summary"));
    assert_eq!(found(RULE, &other).len(), 1);
    other.plan.topology.effects.analysis.ignore.push("summary".into());
    accepted(&other);
}
