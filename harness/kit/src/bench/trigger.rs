//! Whether a trigger is exact: a fault at ack n leaves n - 1 acknowledged messages, by the broker's own count.
//!
//! A quorum queue never forgets an ack, so what it still holds after the fault tells how many acks have reached it. That
//! the acks before the nth were *forwarded* is certain, that the broker has *taken* them is not: a reset right behind
//! them can overtake them. So the fault waits for the broker's own sign. With a full prefetch window, the delivery that
//! follows ack n - 1 is sent only when that ack has been applied, and the delivery is seen by the tap.

use harness_model::event::{Backend, Fate, StepKind};
use harness_model::fault::{Cut, Pattern, Trigger};
use harness_runner::environment::Failure;
use harness_stack::client::Messenger;
use harness_stack::load;
use harness_stack::pool::Mode;
use harness_stack::{backend, wait};
use rand::RngExt as _;
use std::cell::Cell;
use std::time::Duration;
use tokio::sync::Mutex;

use harness_model::seed::Seed;

use super::taps::Bench;
use super::{Bound, Measure, failed};
use crate::environment::Stack;

/// Link cuts for each run asked for; 5 runs make the thousand.
const CUTS: u32 = 200;
/// Broker kills for each run asked for.
const KILLS: u32 = 4;
/// Messages in the queue before each fault: enough to keep the window full past the last ack.
const MESSAGES: u64 = 60;
/// The consumer's prefetch.
const PREFETCH: u16 = 16;
/// The last ack at which a fault is triggered.
const LAST: u64 = 40;
/// The queue.
const QUEUE: &str = "exact";
/// Longest time from the first delivery to the ack that is waited for.
const FIRE_DEADLINE: Duration = Duration::from_secs(30);
/// Longest time for the broker to take the acks before it.
const TAKEN_DEADLINE: Duration = Duration::from_secs(30);
/// Longest time for the queue's count to settle; after a restart a quorum queue elects its leader first.
const COUNT_DEADLINE: Duration = Duration::from_secs(15);

/// What was found over all faults of one kind.
#[derive(Debug, Default)]
struct Found {
    faults: u32,
    worst: i64,
    wrong: u32,
}

impl Found {
    fn take(&mut self, error: i64) {
        self.faults += 1;
        self.wrong += u32::from(error != 0);
        if error.abs() > self.worst.abs() {
            self.worst = error;
        }
    }

    fn measure(&self, name: &'static str) -> Measure {
        Measure {
            name,
            value: f64::from(self.wrong),
            unit: "off",
            bound: Bound::AtMost(0.0),
            beside: format!("of {} faults; worst error {}", self.faults, self.worst),
        }
    }
}

pub(super) async fn measure(stack: &Stack, runs: u32) -> Result<Vec<Measure>, Failure> {
    let mut bench = Bench::open(stack, Backend::Broker, Mode::Exclusive).await?;
    let mut random = Seed(u64::from(runs)).stream("trigger");
    load::make_queue(&bench.direct, QUEUE, true)
        .await
        .map_err(|error| failed(&error))?;
    let (mut cuts, mut kills) = (Found::default(), Found::default());
    let mut ready = 0;
    for _ in 0..CUTS * runs.max(1) {
        let nth = random.random_range(1..=LAST);
        cuts.take(fault(stack, &mut bench, nth, &mut ready, false).await?);
    }
    for _ in 0..KILLS * runs.max(1) {
        let nth = random.random_range(1..=LAST);
        kills.take(fault(stack, &mut bench, nth, &mut ready, true).await?);
    }
    bench.close().await?;
    Ok(vec![
        cuts.measure("trigger exact, link cuts"),
        kills.measure("trigger exact, broker kills"),
    ])
}

/// Waits for the `count`th delivery after event `before`.
async fn delivered(bench: &Bench, before: u64, count: u64) {
    loop {
        let seen = bench.recorder.len();
        if deliveries(bench, before) >= count {
            return;
        }
        bench.recorder.past(seen).await;
    }
}

/// The number of deliveries after event `before`.
fn deliveries(bench: &Bench, before: u64) -> u64 {
    bench.recorder.with(|events| {
        let news = events.iter().rev().take_while(|event| event.n > before);
        news.filter(|event| event.step.kind() == StepKind::Deliver)
            .count() as u64
    })
}

/// What there is to see of the messages since event `before`: on the link, and by the broker's own count.
async fn seen(bench: &Bench, before: u64) -> String {
    let delivered = deliveries(bench, before);
    let at = &bench.direct;
    let mut messenger = Messenger::new(at.addr, &at.user, &at.password, &at.name);
    let queue = match messenger.depth(QUEUE).await {
        Ok(depth) => format!("{} ready and {} consumers", depth.ready, depth.consumers),
        Err(error) => error.to_string(),
    };
    format!("{delivered} were delivered, and the queue has {queue}")
}

/// Fills the queue up, faults at ack `nth`, and gives how many acks more (or less) than `nth - 1` have reached the
/// broker. `ready` is what the queue held before, and holds after.
async fn fault(
    stack: &Stack,
    bench: &mut Bench,
    nth: u64,
    ready: &mut u64,
    kill: bool,
) -> Result<i64, Failure> {
    let missing = MESSAGES.saturating_sub(*ready) as usize;
    load::publish(&bench.direct, QUEUE, missing, 64, 64)
        .await
        .map_err(|error| failed(&error))?;
    let trigger = Trigger::nth(nth, Pattern::new(StepKind::Ack));
    let before = bench.recorder.len();
    let gate = bench.recorder.arm("bench".into(), trigger);
    let at = bench.tapped.clone();
    let mut consumer = tokio::spawn(async move { load::consume_until_cut(&at, QUEUE, PREFETCH).await });
    let fired = async {
        tokio::select! {
            biased;
            _ = gate.fired() => Ok(()),
            ended = &mut consumer => Err(match ended {
                Ok(Ok(())) => "the consumer was cancelled".to_owned(),
                Ok(Err(error)) => format!("the consumer ended: {error}"),
                Err(error) => format!("the consumer ended: {error}"),
            }),
        }
    };
    let fired = tokio::time::timeout(FIRE_DEADLINE, fired)
        .await
        .unwrap_or_else(|_| Err(format!("the consumer waits, after {FIRE_DEADLINE:?}")));
    if let Err(why) = fired {
        let seen = seen(bench, before).await;
        return Err(Failure::invalid(format!(
            "ack number {nth} never came; {} did; {why}; {missing} messages were added to {}; {seen}",
            gate.count(),
            *ready
        )));
    }

    let taken = delivered(bench, before, nth - 1 + u64::from(PREFETCH));
    if tokio::time::timeout(TAKEN_DEADLINE, taken).await.is_err() {
        let seen = seen(bench, before).await;
        return Err(Failure::invalid(format!(
            "the broker did not take the acks before number {nth} within {TAKEN_DEADLINE:?}; {seen}"
        )));
    }

    if kill {
        bench.tap.backend_down().await;
        let mut info = bench.lease.grant().broker.clone();
        let network = bench.lease.grant().backends.clone();
        let exit = backend::kill(&stack.engine, &info)
            .await
            .map_err(|error| failed(&error))?;
        if exit != 137 {
            return Err(Failure::invalid(format!(
                "the broker ended with code {exit}, not by SIGKILL"
            )));
        }
        gate.release(Fate::Cut);
        backend::start(&stack.engine, Backend::Broker, &mut info, &network)
            .await
            .map_err(|error| failed(&error))?;
        bench.direct.addr = backend::address(Backend::Broker, info.ip);
        bench
            .tap
            .backend_up(bench.direct.addr)
            .await
            .map_err(|error| failed(&error))?;
        bench.lease.grant_mut().broker = info;
    } else {
        bench.tap.cut(Cut::Rst).await;
        gate.release(Fate::Cut);
    }
    // A client may take its time to notice that its connection is gone; nobody waits for it.
    consumer.abort();

    // A queue that comes back counts what it has replayed so far. A message that it confirms is behind all of that.
    load::publish(&bench.direct, QUEUE, 1, 64, 1)
        .await
        .map_err(|error| failed(&error))?;
    let expected = *ready + missing as u64 - (nth - 1) + 1;
    let at = bench.direct.clone();
    let messenger = Mutex::new(Messenger::new(at.addr, &at.user, &at.password, &at.name));
    let (last, agreed) = (Cell::new(0), Cell::new(0));
    // The count is read until it stands still with nobody consuming: a queue puts back what a consumer owes in the same
    // step in which it forgets the consumer. What it should be plays no part in that.
    let counted = wait::until("the queue's count to settle", COUNT_DEADLINE, || async {
        let depth = messenger.lock().await.depth(QUEUE).await;
        let depth = depth.map_err(|error| error.to_string())?;
        let same = depth.consumers == 0 && last.replace(depth.ready) == depth.ready;
        agreed.set(if same { agreed.get() + 1 } else { 0 });
        if agreed.get() >= 3 {
            Ok(())
        } else {
            Err(format!("{} ready", depth.ready))
        }
    })
    .await;
    messenger.lock().await.close().await;
    counted.map_err(|error| failed(&error))?;
    let last = last.get();
    *ready = last;
    Ok(expected.cast_signed() - last.cast_signed())
}
