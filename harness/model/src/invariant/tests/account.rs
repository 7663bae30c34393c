//! What readers are told of a trial's messages and faults.

use crate::event::{Fate, FaultChange};
use crate::fault::MessageState::{A0, A1, C0, C1, D, P0, P1, R0, R1, W, X0};
use crate::fault::{FaultKind, MessageState, Target};
use crate::invariant::testing::Trial;
use crate::invariant::{Account, Life};

fn life<'a>(account: &'a Account<'_>, queue: &str, key: &str) -> &'a Life {
    let found = account
        .lives
        .iter()
        .find(|life| life.queue == queue && life.key == key);
    found.expect("it came into the queue")
}

fn states(life: &Life) -> Vec<MessageState> {
    life.stages.iter().map(|stage| stage.state).collect()
}

#[test]
fn a_whole_life_on_each_queue() {
    let mut trial = Trial::new();
    trial.report(1);
    let evidence = trial.evidence();
    let account = Account::of(&evidence);
    let queues: Vec<_> = account.lives.iter().map(|life| life.queue.as_str()).collect();
    assert_eq!(queues, ["analysis", "renderer", "tags"]);
    assert!(
        account
            .lives
            .iter()
            .all(|life| life.ended && life.deliveries == 1)
    );
    assert_eq!(
        states(life(&account, "analysis", "1")),
        [P0, P1, D, W, C0, C1, A1]
    );
    assert_eq!(states(life(&account, "renderer", "1")), [P0, P1, D, A1]);
    assert_eq!(life(&account, "tags", "1").consumer.as_deref(), Some("tags"));
    let given = account.given.iter().filter(|given| given.queue == "tags");
    let given: Vec<_> = given.collect();
    assert!(given.len() == 1 && !given[0].back && given[0].latency.is_some_and(|ns| ns > 0));
    assert_eq!(account.around(1, 2), None);
}

#[test]
fn what_is_open_says_how_far_it_came() {
    let mut trial = Trial::new();
    trial.plan_report(1, &[]);
    trial.inject(1);
    let lost = trial.deliver("tags", 1);
    let ack = trial.ack(lost);
    trial.fate(ack, Fate::Cut);
    let retried = trial.deliver("analysis", 1);
    trial.retry("analyzer", "analysis", 1, 1);
    trial.ack(retried);
    let evidence = trial.evidence();
    let account = Account::of(&evidence);
    let (tags, analysis) = (life(&account, "tags", "1"), life(&account, "analysis", "1"));
    assert_eq!((states(tags), tags.ended), (vec![P0, P1, D, A0], false));
    assert_eq!(
        (states(analysis), analysis.ended),
        (vec![P0, P1, D, R0, R1, A1], false)
    );
    assert!(account.trail(tags).contains("lost with its connection"));
    // What waits in a retry queue can be delivered only after its time.
    let sent: Vec<_> = account
        .sent
        .iter()
        .filter(|sent| sent.queue == "analysis")
        .collect();
    assert!(
        sent.len() == 2 && sent[1].at - sent[0].at >= 1_000_000_000,
        "{sent:?}"
    );
}

#[test]
fn what_is_to_be_buried_has_ended_in_its_dead_letter_queue() {
    let mut trial = Trial::new();
    trial.poison("bad");
    trial.plan_report(2, &[]);
    trial.inject(2);
    let good = trial.deliver("tags", 2);
    trial.nack(good, false);
    let evidence = trial.evidence();
    let account = Account::of(&evidence);
    let (bad, good) = (life(&account, "tags", "bad"), life(&account, "tags", "2"));
    assert_eq!((states(bad), bad.ended), (vec![P0, P1, D, X0], true));
    assert_eq!((states(good), good.ended), (vec![P0, P1, D, X0], false));
}

#[test]
fn faults_have_their_times() {
    let mut trial = Trial::new();
    trial.plan_kill("f", Target::Service("tags".into()), None);
    let armed = trial.fault("f", FaultChange::Armed);
    let bitten = trial.bitten("f");
    let healed = trial.healed("f");
    trial.plan.faults[0].what = FaultKind::Pause {
        target: Target::Broker,
    };
    let evidence = trial.evidence();
    let account = Account::of(&evidence);
    let fault = &account.faults[0];
    assert_eq!(
        (account.faults.len(), fault.what.as_str()),
        (1, "pause of broker")
    );
    let n = |point: Option<crate::invariant::Point>| point.map(|point| point.n);
    assert_eq!((n(fault.armed), fault.from.n), (Some(armed), armed));
    assert_eq!((n(fault.bitten), n(fault.healed)), (Some(bitten), Some(healed)));
    assert!(
        account
            .around(bitten, bitten)
            .is_some_and(|words| words.starts_with("while pause of broker (f"))
    );
}
