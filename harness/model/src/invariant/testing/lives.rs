//! Whole lives of reports, and of faults.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::event::{Fate, FaultChange, Step};
use crate::evidence::{AnalysisRow, DeadLetter, Expect};
use crate::fault::{FaultKind, FaultPlan, Target, Trigger};
use crate::name::Key;

use super::{Trial, hash};

impl Trial {
    /// Plans a SIGKILL.
    pub(in crate::invariant) fn plan_kill(&mut self, id: &str, target: Target, when: Option<Trigger>) {
        self.plan.faults.push(FaultPlan {
            id: id.into(),
            what: FaultKind::Kill { target },
            when,
        });
    }

    /// Plans a fault that waits for nothing, and begins it.
    pub(in crate::invariant) fn begin(&mut self, id: &str, what: FaultKind) -> u64 {
        self.plan.faults.push(FaultPlan {
            id: id.into(),
            what,
            when: None,
        });
        self.fault(id, FaultChange::Armed);
        self.bitten(id)
    }

    pub(in crate::invariant) fn fault(&mut self, id: &str, change: FaultChange) -> u64 {
        self.say(Step::Fault {
            id: id.into(),
            change,
        })
    }

    pub(in crate::invariant) fn bitten(&mut self, id: &str) -> u64 {
        self.fault(
            id,
            FaultChange::Bitten {
                proof: "exit code 137".into(),
            },
        )
    }

    pub(in crate::invariant) fn healed(&mut self, id: &str) -> u64 {
        self.fault(
            id,
            FaultChange::Healed {
                proof: "answers".into(),
            },
        )
    }

    /// A trigger held a frame, and then let it go.
    pub(in crate::invariant) fn fate(&mut self, event: u64, fate: Fate) -> u64 {
        self.say(Step::Held {
            fault: "f".into(),
            event,
        });
        self.say(Step::Released {
            fault: "f".into(),
            event,
            fate,
        })
    }

    /// The harness sees another answer of a service's health endpoint; the analyzer's tells of the broker as well.
    pub(in crate::invariant) fn health(&mut self, svc: &str, status: u16) -> u64 {
        let broker = (svc == "analyzer").then_some(status == 200);
        self.about(svc, Step::Health { status, broker })
    }

    pub(in crate::invariant) fn recovered(&mut self, ms: u64) -> u64 {
        self.say(Step::Recovered {
            key: Key::from(1),
            ms,
        })
    }

    /// The rows that the analyzer writes: valid and physical.
    pub(in crate::invariant) fn rows(&mut self, seq: u64) {
        for language in ["en", "de"] {
            let row = json!({
                "seq": seq, "source": "Stub", "analysis_text": "text", "title": "Bin", "description": "full",
                "brand_name": "", "brand_display_name": "", "litter_probability": f64::from(0.9_f32),
                "hazard_probability": 0.0, "digital_bug_probability": 0.0, "severity_level": 0.5,
                "summary": "Bin: full", "language": language, "classification": "physical", "is_valid": 1,
                "inferred_contact_emails": null, "created_at": "2026-01-01 00:00:00",
            });
            let fields = serde_json::from_value(row).unwrap();
            self.end.analysis.push(AnalysisRow {
                seq,
                language: language.into(),
                fields,
            });
        }
    }

    /// Makes the rows of a report those of a valid digital one.
    pub(in crate::invariant) fn digital(&mut self, seq: u64, brand: &str) {
        for row in self.end.analysis.iter_mut().filter(|row| row.seq == seq) {
            row.fields.insert("classification".into(), "digital".into());
            row.fields.insert("brand_name".into(), brand.into());
        }
    }

    /// The event of a report as its rows have it, with numbers written as a service would.
    pub(in crate::invariant) fn event_body(&self, seq: u64) -> Value {
        let mut report = json!(self.end.source[&seq]);
        report["latitude"] = json!(47.05);
        let rows = self.end.analysis.iter().filter(|row| row.seq == seq);
        let analysis: Vec<_> = rows
            .map(|row| {
                let mut item = json!(row.fields);
                item["is_valid"] = json!(true);
                item["created_at"] = json!("2026-01-01T00:00:00Z");
                item
            })
            .collect();
        json!({"version": "v1", "report": report, "analysis": analysis})
    }

    /// The analyzer's part: delivery, rows, event, acknowledgement.
    pub(in crate::invariant) fn analysed(&mut self, seq: u64) {
        let delivery = self.deliver("analysis", seq);
        self.write("analyzer", seq);
        self.rows(seq);
        let event = self.announce(seq);
        self.confirm(event);
        self.ack(delivery);
    }

    /// The tags service's part.
    pub(in crate::invariant) fn tagged(&mut self, seq: u64) {
        let delivery = self.deliver("tags", seq);
        let planned = self
            .plan
            .injected
            .iter()
            .find(|injected| injected.seq == Some(seq));
        let Some(Expect::Effect { tags, .. }) = planned.map(|injected| injected.expect.clone()) else {
            panic!("report {seq} is not planned")
        };
        if !tags.is_empty() {
            self.write("tags", seq);
        }
        for tag in tags {
            *self.end.tags.entry(tag.clone()).or_default() += 1;
            self.end.links.push((seq, tag));
        }
        self.ack(delivery);
    }

    /// The renderer's part, for a physical report.
    pub(in crate::invariant) fn rendered(&mut self, seq: u64) {
        let delivery = self.deliver("renderer", seq);
        self.ack(delivery);
        self.point(seq);
    }

    pub(in crate::invariant) fn point(&mut self, seq: u64) {
        let rendered = self.end.rendered.as_mut().unwrap();
        rendered.points.push(seq);
        rendered.physical = rendered.points.iter().collect::<BTreeSet<_>>().len() as u64;
    }

    /// All that comes after the report is in both queues.
    pub(in crate::invariant) fn processed(&mut self, seq: u64) {
        self.analysed(seq);
        self.tagged(seq);
        self.rendered(seq);
    }

    /// The whole life of a report.
    pub(in crate::invariant) fn report(&mut self, seq: u64) {
        self.plan_report(seq, &["bin", "full"]);
        self.inject(seq);
        self.processed(seq);
    }

    /// Puts a message into the dead-letter queue of a queue.
    pub(in crate::invariant) fn bury(&mut self, queue: &str, key: impl Into<Key>) -> &mut DeadLetter {
        let key = key.into();
        let letter = DeadLetter {
            hash: hash(&key),
            key: Some(key),
            size: 9,
            reason: Some("rejected".into()),
        };
        let dead = self.end.dead.get_mut(queue).unwrap();
        dead.push(letter);
        dead.last_mut().unwrap()
    }

    /// A message that is rejected by both consumers of the raw route, as it should be.
    pub(in crate::invariant) fn poison(&mut self, key: &str) {
        self.plan_poison(key, &["analysis", "tags"]);
        self.inject(key);
        for queue in ["analysis", "tags"] {
            let delivery = self.deliver(queue, key);
            self.nack(delivery, false);
            self.bury(queue, key);
        }
    }
}
