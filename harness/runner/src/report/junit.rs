//! JUnit's XML, by the library that nextest uses.
//!
//! A case is a scenario. What the pipeline did wrong is a failure, what keeps us from knowing is an error, what is held in
//! quarantine is skipped with its diagnosis as the message. Other trials of a scenario that did not pass are reruns; where
//! some passed they are flaky ones, and the case has failed all the same.
//! Characters that XML cannot hold are replaced, because a reader would reject the whole file.

use std::collections::BTreeMap;

use harness_model::verdict::Kind;
use quick_junit::{
    FlakyOrRerun, NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite,
};

use super::forms::{Case, Told, scene_of};
use super::{Finished, scene};

/// The report.
pub fn text(told: &Told) -> String {
    let mut report = Report::new("harness");
    report.set_time(told.took);
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    let mut add = |name: &str, case: TestCase| {
        let family = name.rsplit_once("::").map_or("harness", |(family, _)| family);
        let suite = suites
            .entry(family.to_owned())
            .or_insert_with(|| TestSuite::new(legal(family)));
        suite.set_time(suite.time.unwrap_or_default() + case.time.unwrap_or_default());
        suite.add_test_case(case);
    };
    for case in told.cases() {
        add(&case.name, written(&case));
    }
    for name in &told.missing {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type("not run");
        status.set_message(format!("not run: {}: no trial of it is stored", legal(name)));
        let mut case = named(name, status);
        place(&mut case, told.places.get(name));
        add(name, case);
    }
    report.add_test_suites(suites.into_values());
    report
        .to_string()
        .expect("a report in memory is written, and it is UTF-8")
}

fn named(name: &str, status: TestCaseStatus) -> TestCase {
    let (family, short) = name.rsplit_once("::").unwrap_or(("harness", name));
    let mut case = TestCase::new(legal(short), status);
    case.set_classname(legal(family));
    case
}

fn place(case: &mut TestCase, place: Option<&super::forms::Place>) {
    if let Some(place) = place {
        let attributes = [("file", place.file.clone()), ("line", place.line.to_string())];
        case.extra
            .extend(attributes.map(|(key, value)| (key.into(), legal(&value).into())));
    }
}

fn written(case: &Case<'_>) -> TestCase {
    let worst = case.worst();
    let mut out = named(&case.name, status(worst));
    out.set_time(case.took());
    place(&mut out, case.place);
    out.add_property(Property::new("seed", worst.seed.to_string()));
    out.add_property(Property::new("folder", legal(worst.dir.as_str())));
    if let Some(standing) = &worst.quarantine {
        let note = crate::quarantine::note(standing);
        out.add_property(Property::new("quarantine", legal(&note)));
    }
    let others = case.trials.iter().filter(|trial| !std::ptr::eq(**trial, worst));
    let failed = others.filter(|trial| trial.verdict.kind != Kind::Pass);
    if case.is_mixed() {
        out.status.set_rerun_kind(FlakyOrRerun::Flaky);
        // The one that decides is among them, so that it is seen how many there were.
        out.status.add_rerun(rerun(worst));
    }
    out.status.add_reruns(failed.map(|trial| rerun(trial)));
    if worst.verdict.kind != Kind::Pass {
        out.set_system_out(legal(&scene_of(worst)));
    }
    out
}

fn status(trial: &Finished) -> TestCaseStatus {
    if trial.counts_as() == Kind::Pass && !trial.is_held() {
        return TestCaseStatus::success();
    }
    let mut status = if trial.is_held() {
        TestCaseStatus::skipped()
    } else {
        TestCaseStatus::non_success(gravity(trial.counts_as()))
    };
    status.set_type(if trial.is_held() {
        "quarantined"
    } else {
        trial.counts_as().word()
    });
    status.set_message(legal(&message(trial)));
    status
}

/// The diagnosis, and what quarantine makes of it.
pub(crate) fn message(trial: &Finished) -> String {
    let headline = scene::headline(trial);
    match &trial.quarantine {
        Some(standing) if trial.verdict.kind != Kind::Pass || !matches!(trial.counts_as(), Kind::Pass) => {
            format!("{headline}; {}", crate::quarantine::note(standing))
        }
        _ => headline,
    }
}

fn rerun(trial: &Finished) -> TestRerun {
    let mut rerun = TestRerun::new(gravity(trial.verdict.kind));
    rerun.set_time(trial.verdict.timings.total());
    rerun.set_type(trial.verdict.kind.word());
    rerun.set_message(legal(&message(trial)));
    rerun
}

fn gravity(kind: Kind) -> NonSuccessKind {
    match kind {
        Kind::Fail | Kind::Hang => NonSuccessKind::Failure,
        Kind::Pass | Kind::Invalid | Kind::Infra => NonSuccessKind::Error,
    }
}

/// `text` with a replacement character for each that XML 1.0 cannot hold.
fn legal(text: &str) -> String {
    let holds = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars()
        .map(|c| if holds(c) { c } else { char::REPLACEMENT_CHARACTER })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::legal;

    #[test]
    fn what_xml_cannot_hold_is_replaced() {
        assert_eq!(
            legal("a\u{0}b\u{1b}[1m\u{fffe}\u{ffff}\tc\n"),
            "a\u{fffd}b\u{fffd}[1m\u{fffd}\u{fffd}\tc\n"
        );
        assert_eq!(legal("ü😀<&>"), "ü😀<&>");
    }
}
