//! `effects-once`, `no-phantoms` and `source-unchanged`.

use crate::event::Step;
use crate::evidence::Expect;
use crate::fault::{FaultKind, Misbehaviour};
use crate::invariant::testing::{Trial, accepted, found, rejected};

const ONCE: &str = "effects-once";
const PHANTOMS: &str = "no-phantoms";

#[test]
fn a_second_row() {
    let mut trial = Trial::new();
    trial.report(1);
    let row = trial.end.analysis[0].clone();
    trial.end.analysis.insert(0, row);
    rejected(
        ONCE,
        &trial,
        &["1"],
        "report 1: 2 rows for language en in report_analysis; one would be right",
    );
}

#[test]
fn a_language_that_nobody_asked_for() {
    let mut trial = Trial::new();
    trial.report(1);
    let mut row = trial.end.analysis[0].clone();
    row.language = "me".into();
    trial.end.analysis.push(row);
    rejected(
        ONCE,
        &trial,
        &["1"],
        "report 1: a row for language me, which nobody asked for, in report_analysis",
    );
}

#[test]
fn tags_are_exactly_those_of_the_report() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.report(2);
    trial.plan.injected[0].expect = Expect::Effect {
        tags: ["bin", "late"].map(String::from).into(),
        public: true,
        rendered: true,
    };
    trial.end.links.push((1, "bin".into()));
    rejected(
        ONCE,
        &trial,
        &["1"],
        "report 1: wrong tags in report_tags: the same tag is linked twice; not asked for: full; missing: late",
    );
}

#[test]
fn a_counter_that_counts_deliveries() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.report(2);
    trial.end.tags.insert("bin".into(), 7);
    rejected(
        ONCE,
        &trial,
        &["1", "2"],
        "tag bin has usage_count 7, but 2 reports linked to it",
    );
}

#[test]
fn a_report_that_is_not_public_was_published() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.expect(1, false, true);
    rejected(
        ONCE,
        &trial,
        &["1"],
        "report 1: not public, and yet analyzer published its event at #15",
    );
}

#[test]
fn a_point_for_each_delivery() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.point(1);
    rejected(
        ONCE,
        &trial,
        &["1"],
        "report 1: listed 2 times among the renderer's points",
    );
}

#[test]
fn a_point_where_none_belongs() {
    let mut trial = Trial::new();
    trial.report(1);
    for row in &mut trial.end.analysis {
        row.fields.insert("is_valid".into(), false.into());
    }
    rejected(
        ONCE,
        &trial,
        &["1"],
        "report 1: among the renderer's points, where only valid physical reports that are active and public belong",
    );
}

#[test]
fn a_report_that_a_purge_threw_away_need_not_be_in_the_totals() {
    for purged in [false, true] {
        let mut trial = Trial::new();
        trial.plan_report(1, &[]);
        trial.inject(1);
        trial.tagged(1);
        trial.analysed(1);
        trial.digital(1, "Acme");
        let event = trial.last() - 2;
        let again = trial.announce(1);
        trial.copy_body(again, event);
        if purged {
            let queue = "renderer".into();
            trial.begin("f", FaultKind::PurgeQueue { queue });
            trial.healed("f");
        }
        let of_brand = found(ONCE, &trial);
        let of_brand = of_brand
            .iter()
            .filter(|found| found.what.starts_with("brand Acme"));
        assert_eq!(of_brand.count(), usize::from(!purged), "purged: {purged}");
    }
}

/// Two digital reports of one brand, both in the totals.
fn two_digital() -> Trial {
    let mut trial = Trial::new();
    for seq in [1, 2] {
        trial.plan_report(seq, &[]);
        trial.inject(seq);
        trial.tagged(seq);
        trial.analysed(seq);
        trial.digital(seq, "Acme");
        // The event says what the rows say.
        let event = trial.last() - 2;
        let again = trial.announce(seq);
        let delivery = trial.deliver("renderer", seq);
        trial.ack(delivery);
        let delivery = trial.deliver("renderer", seq);
        trial.ack(delivery);
        trial.copy_body(again, event);
    }
    let rendered = trial.end.rendered.as_mut().unwrap();
    rendered.brands.insert("Acme".into(), 2);
    rendered.digital = 2;
    trial
}

#[test]
fn totals_count_reports_and_not_deliveries() {
    accepted(&two_digital());

    let mut trial = two_digital();
    let rendered = trial.end.rendered.as_mut().unwrap();
    rendered.brands.insert("Acme".into(), 4);
    rendered.digital = 4;
    rejected(
        ONCE,
        &trial,
        &["1", "2"],
        "brand Acme: the renderer counts 4 reports, 2 would be right",
    );

    let mut trial = two_digital();
    let rendered = trial.end.rendered.as_mut().unwrap();
    rendered.digital = 3;
    rendered.physical = 1;
    let told: Vec<_> = found(ONCE, &trial)
        .into_iter()
        .map(|finding| finding.what)
        .collect();
    assert_eq!(
        told,
        [
            "the renderer says that it has 1 physical, and lists 0 points",
            "the renderer says that it has 3 digital, and its brands sum up to 2",
        ]
    );
}

#[test]
fn totals_leave_room_for_what_was_never_promised() {
    let mut trial = two_digital();
    // Its rows were committed, and then the broker lost it: nobody had been told that it was safe.
    trial.plan_report(3, &[]);
    trial.publish(3);
    trial.deliver("analysis", 3);
    trial.write("analyzer", 3);
    trial.rows(3);
    trial.digital(3, "Acme");
    trial.kill_broker();
    accepted(&trial);
}

#[test]
fn a_duplicate_that_every_service_absorbed_is_fine() {
    let mut trial = Trial::new();
    trial.plan_report(1, &["bin"]);
    trial.plan.injected[0].times = 3;
    for _ in 0..3 {
        trial.inject(1);
    }
    trial.processed(1);
    for queue in ["analysis", "tags", "analysis", "tags"] {
        let delivery = trial.deliver(queue, 1);
        trial.ack(delivery);
    }
    accepted(&trial);
}

#[test]
fn effects_of_what_was_never_injected() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.rows(9);
    trial.end.links.push((9, "bin".into()));
    trial.end.published.insert(9);
    trial.point(9);
    rejected(
        PHANTOMS,
        &trial,
        &["9"],
        "report 9: found in report_analysis and report_raw and report_tags and the renderer's points, but it was never \
         injected",
    );
}

#[test]
fn effects_of_what_never_reached_the_broker() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    let publish = trial.publish(1);
    trial.fate(publish, crate::event::Fate::Dropped);
    trial.rows(1);
    rejected(
        PHANTOMS,
        &trial,
        &["1"],
        "report 1: found in report_analysis, but it was never published: its message did not reach the broker",
    );
}

#[test]
fn tags_out_of_nowhere() {
    let mut trial = Trial::new();
    trial.report(1);
    trial.end.tags.insert("unused".into(), 0);
    trial.end.tags.insert("ghost".into(), 1);
    rejected(
        PHANTOMS,
        &trial,
        &[],
        "tags in use that no report was injected with: ghost",
    );
}

#[test]
fn a_report_whose_row_is_not_the_same_any_more() {
    let mut trial = Trial::new();
    for seq in 1..=4 {
        trial.report(seq);
    }
    accepted(&trial);
    trial.end.source_after.insert(1, "changed".into());
    trial.end.source_after.remove(&2);
    trial.end.source_before.remove(&3);
    let told: Vec<_> = found("source-unchanged", &trial)
        .into_iter()
        .map(|finding| finding.what)
        .collect();
    assert_eq!(
        told,
        [
            "report 1: its row in reports was changed",
            "report 2: its row in reports is gone",
            "report 3: its row in reports appeared while the services ran",
        ]
    );
}

#[test]
fn a_report_without_coordinates_or_in_private_hands_may_be_shown_or_not() {
    let mut trial = Trial::new();
    trial.report(1);
    let row = trial.end.source.get_mut(&1).unwrap();
    row.insert("latitude".into(), 0.0.into());
    row.insert("longitude".into(), 0.into());
    assert!(found(ONCE, &trial).is_empty());
    let rendered = trial.end.rendered.as_mut().unwrap();
    rendered.points.clear();
    rendered.physical = 0;
    assert!(found(ONCE, &trial).is_empty());
    assert!(found("no-loss", &trial).is_empty());

    let mut trial = two_digital();
    trial.expect(2, true, false);
    accepted(&trial);
    let rendered = trial.end.rendered.as_mut().unwrap();
    rendered.brands.insert("Acme".into(), 1);
    rendered.digital = 1;
    accepted(&trial);
    trial.expect(2, false, false);
    let rendered = trial.end.rendered.as_mut().unwrap();
    rendered.brands.insert("Acme".into(), 2);
    assert!(
        found(ONCE, &trial)
            .iter()
            .any(|finding| finding.what.starts_with("brand Acme: the renderer counts 2"))
    );
}

#[test]
fn a_frame_that_is_still_held_has_not_arrived() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    let publish = trial.publish(1);
    trial.say(crate::event::Step::Held {
        fault: "f".into(),
        event: publish,
    });
    trial.rows(1);
    assert_eq!(found(PHANTOMS, &trial).len(), 1);
}

#[test]
fn totals_leave_out_what_the_renderer_rejected() {
    let mut trial = two_digital();
    trial.bury("renderer", 2);
    let rendered = trial.end.rendered.as_mut().unwrap();
    rendered.brands.insert("Acme".into(), 1);
    rendered.digital = 1;
    assert!(found(ONCE, &trial).is_empty());
}

/// The model is asked about report 1, and answers like that.
fn asked(trial: &mut Trial, status: u16, fault: Option<&str>) -> u64 {
    let fault = fault.map(Into::into);
    let (name, key) = ("model".into(), Some("1".into()));
    trial.say(Step::Upstream {
        name,
        key,
        status,
        fault,
    })
}

fn model(does: Misbehaviour) -> FaultKind {
    let (name, limit) = ("model".into(), None);
    FaultKind::Upstream { name, does, limit }
}

#[test]
fn an_analysis_that_nobody_gave() {
    for (does, status, last) in [
        (Misbehaviour::Status(500), 500, "was answered 500"),
        (Misbehaviour::Garbage, 200, "was answered 200"),
        (Misbehaviour::CutBody, 0, "had no whole answer"),
    ] {
        let mut trial = Trial::new();
        trial.begin("f", model(does));
        asked(&mut trial, status, Some("f"));
        trial.report(1);
        trial.healed("f");
        rejected(
            ONCE,
            &trial,
            &["1"],
            &format!(
                "report 1: an analysis is stored that nobody gave; 1 request for it failed, the last {last}"
            ),
        );
    }
}

#[test]
fn an_answer_that_came_late_or_at_the_second_request_is_one() {
    let mut trial = Trial::new();
    trial.begin("f", model(Misbehaviour::Slow(500)));
    asked(&mut trial, 200, Some("f"));
    trial.report(1);
    trial.healed("f");
    assert!(found(ONCE, &trial).is_empty());

    let mut trial = Trial::new();
    trial.begin("f", model(Misbehaviour::Status(500)));
    asked(&mut trial, 500, Some("f"));
    trial.healed("f");
    asked(&mut trial, 200, None);
    trial.report(1);
    assert!(found(ONCE, &trial).is_empty());
}
