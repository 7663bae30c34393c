//! What a broker has lost by itself when it comes back.
//!
//! RabbitMQ 4.0.5 was seen to come back from SIGKILL without one of the trial's bindings, which it had confirmed long
//! before and which nobody had removed. No service can do anything about that, so it must not be held against one: such a
//! binding is made again before the first dial is let through, the ledger says so, and the broker's log goes with the
//! evidence. What a service has undone on its link stays undone and is judged (`durable-topology`); in a trial whose faults
//! take objects away, nothing is mended.

use harness_model::event::{Backend, Step};
use harness_model::evidence::Declared;
use harness_model::fault::FaultKind;
use harness_runner::environment::Failure;
use harness_stack::admin::{AdminError, BrokerAdmin};

use crate::world::{World, lock};

/// Makes the bindings again that the broker has lost, if there are any.
pub(crate) async fn mend(world: &World) -> Result<(), Failure> {
    let before = {
        let log = lock(&world.log);
        if log.faults.iter().any(|armed| takes_away(&armed.plan.what)) {
            return Ok(());
        }
        log.declared_before.clone()
    };
    let Some(before) = before else {
        return Ok(());
    };
    let failed = |error: AdminError| Failure::infra(format!("the broker has come back: {error}"));
    let broker = world.backend(Backend::Broker);
    let vhost = lock(&world.grant).lease.clone();
    let admin = BrokerAdmin::new(&broker);
    let Some(lost) = lost(world, &before, &admin.declared(&vhost).await.map_err(failed)?) else {
        return Ok(());
    };
    let text = world.engine.logs_all(&broker.container).await;
    let text = text.unwrap_or_else(|error| format!("(no log: {error})"));
    lock(&world.log).backend_logs.insert("broker".to_owned(), text);
    admin.restore(&vhost, &world.topology).await.map_err(failed)?;
    if let Some(still) = self::lost(world, &before, &admin.declared(&vhost).await.map_err(failed)?) {
        return Err(Failure::infra(format!(
            "the broker has come back without {still}, and does not take it again"
        )));
    }
    tracing::warn!("the broker had lost {lost}");
    let text = format!("the broker has come back without {lost}, which nobody had undone; it was made again");
    world.note(None, Step::Note { text });
    Ok(())
}

/// What the broker lacks now that it has lost by itself, in words.
fn lost(world: &World, before: &Declared, now: &Declared) -> Option<String> {
    // Nearly always there is nothing, and the whole ledger need not be read.
    if before.bindings.is_subset(&now.bindings) {
        return None;
    }
    let lost = world.recorder.with(|events| {
        let lost = before.lost(now, events).into_iter();
        lost.map(ToString::to_string).collect::<Vec<_>>()
    });
    (!lost.is_empty()).then(|| lost.join(", "))
}

/// A fault of this kind takes something away that the topology declares.
fn takes_away(fault: &FaultKind) -> bool {
    matches!(
        fault,
        FaultKind::DeleteQueue { .. }
            | FaultKind::RedeclareQueue { .. }
            | FaultKind::Unbind { .. }
            | FaultKind::DeleteExchange { .. }
            | FaultKind::DropRetryQueue { .. }
    )
}
