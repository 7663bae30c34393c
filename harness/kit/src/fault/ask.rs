//! How a scenario asks for a fault, in the topology's roles.
//!
//! ```ignore
//! kill(Broker).when(nth(30, ack().by("analyzer")))
//! kill(Service("tags")).when(in_state(MessageState::C1, "tags").of_report(3))
//! cut("analyzer", Backend::Broker, Cut::Rst).when(nth(between(1, 40), publish().by("analyzer")))
//! lose(confirm().by("analyzer")).times(2)
//! ```

use std::ops::RangeInclusive;

use harness_model::event::{Backend, StepKind, Verb};
use harness_model::fault::{
    Cut, FaultKind, FrameAction, MessageState, Misbehaviour, On, Pattern, Phase, Resource, Shape, Target,
    Trigger,
};
use harness_model::name::{Key, Name};
use harness_model::seed::Seed;
use harness_runner::environment::Failure;
use rand::RngExt as _;

use super::Outage;
use super::act::queue;
use crate::world::{World, lock};

/// Error code of MySQL: the transaction was rolled back because of a deadlock.
pub const DEADLOCK: u16 = 1213;
/// Error code of MySQL: the statement has waited too long for a lock, and was undone.
pub const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// A fault that a scenario asks for.
#[derive(Debug, Clone)]
#[must_use = "a fault does nothing until it is given to `Cx::fault`"]
pub struct Fault {
    what: What,
    when: Option<Condition>,
}

#[derive(Debug, Clone)]
enum What {
    Kind(FaultKind),
    /// Its pattern is still in roles.
    Frames {
        frames: When,
        does: FrameAction,
        every: Option<u64>,
        limit: Option<u64>,
    },
}

/// What a fault waits for.
#[derive(Debug, Clone)]
#[must_use = "a condition does nothing by itself; see `Fault::when`"]
pub struct Condition {
    nth: Nth,
    on: Awaited,
    after: Option<Box<Self>>,
}

#[derive(Debug, Clone)]
enum Awaited {
    Step(When),
    State(MessageState, Name, Option<Which>),
    Unacked(u64, Name),
    Depth(u64, Name),
    Fault(Name, Phase),
}

#[derive(Debug, Clone)]
enum Which {
    Key(Key),
    /// The nth report that is injected from now on.
    Coming(u64),
}

/// Which match: a number, or one that the trial's seed draws.
#[derive(Debug, Clone)]
pub enum Nth {
    /// This one.
    Exactly(u64),
    /// One of these.
    Drawn(RangeInclusive<u64>),
}

impl From<u64> for Nth {
    fn from(nth: u64) -> Self {
        Self::Exactly(nth)
    }
}

/// A number from `first` to `last`, drawn from the trial's seed.
pub fn between(first: u64, last: u64) -> Nth {
    Nth::Drawn(first..=last)
}

/// Which events are counted, or which frames are meant, in the topology's roles.
#[derive(Debug, Clone)]
#[must_use = "a pattern does nothing by itself; see `nth`"]
pub struct When {
    pattern: Pattern,
    queue: Option<Name>,
}

/// A backend or a service, as a target.
pub trait Aim {
    /// The target.
    fn target(self) -> Target;
}

/// The message broker.
#[derive(Debug, Clone, Copy)]
pub struct Broker;

/// The database.
#[derive(Debug, Clone, Copy)]
pub struct Database;

/// The service with this role, or one instance of it: `tags-2` is the second one of `tags`.
#[derive(Debug, Clone, Copy)]
pub struct Service(pub &'static str);

impl Aim for Broker {
    fn target(self) -> Target {
        Target::Broker
    }
}

impl Aim for Database {
    fn target(self) -> Target {
        Target::Database
    }
}

impl Aim for Service {
    fn target(self) -> Target {
        Target::Service(Name::new(self.0))
    }
}

impl Aim for Target {
    fn target(self) -> Target {
        self
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        Self {
            what: What::Kind(kind),
            when: None,
        }
    }
}

/// SIGKILL.
pub fn kill(aim: impl Aim) -> Fault {
    FaultKind::Kill { target: aim.target() }.into()
}

/// SIGTERM and wait for the exit; healing starts it again.
pub fn restart(aim: impl Aim) -> Fault {
    FaultKind::Restart { target: aim.target() }.into()
}

/// It stands still.
pub fn pause(aim: impl Aim) -> Fault {
    FaultKind::Pause { target: aim.target() }.into()
}

/// The kernel kills a service for want of memory.
pub fn out_of_memory(service: &str) -> Fault {
    let service = Name::new(service);
    FaultKind::OutOfMemory { service }.into()
}

/// The connections of `service` to a backend are cut.
pub fn cut(service: &str, backend: Backend, how: Cut) -> Fault {
    let service = Name::new(service);
    FaultKind::CutLink {
        service,
        backend,
        how,
    }
    .into()
}

/// The link of `service` to a backend carries bytes badly.
pub fn shape(service: &str, backend: Backend, shape: Shape) -> Fault {
    let service = Name::new(service);
    FaultKind::ShapeLink {
        service,
        backend,
        shape,
    }
    .into()
}

/// Frames wait so many milliseconds.
pub fn delay(frames: When, ms: u32) -> Fault {
    Fault::frames(frames, FrameAction::Delay(ms))
}

/// Frames are taken out of the stream.
pub fn lose(frames: When) -> Fault {
    Fault::frames(frames, FrameAction::Drop)
}

/// Frames are sent after the next one of their direction.
pub fn reorder(frames: When) -> Fault {
    Fault::frames(frames, FrameAction::Reorder)
}

/// Statements are refused with an error code of the server: 1213 is a deadlock, 1205 a lock wait timeout.
pub fn refuse(statements: When, code: u16) -> Fault {
    Fault::frames(statements, FrameAction::Refuse(code))
}

/// The broker has too little memory or disk, and blocks publishers.
pub fn alarm(resource: Resource) -> Fault {
    FaultKind::Alarm { resource }.into()
}

/// The broker closes all connections of the trial.
pub fn close_connections() -> Fault {
    FaultKind::CloseConnections.into()
}

/// The broker closes a channel of `service`.
pub fn close_channel(service: &str) -> Fault {
    let service = Name::new(service);
    FaultKind::CloseChannel { service }.into()
}

/// A queue is deleted.
pub fn delete_queue(queue: &str) -> Fault {
    let queue = Name::new(queue);
    FaultKind::DeleteQueue { queue }.into()
}

/// Another queue of the same name stands in the place of a queue.
pub fn replace_queue(queue: &str) -> Fault {
    let queue = Name::new(queue);
    FaultKind::RedeclareQueue { queue }.into()
}

/// The ready messages of a queue are thrown away.
pub fn purge(queue: &str) -> Fault {
    let queue = Name::new(queue);
    FaultKind::PurgeQueue { queue }.into()
}

/// Nobody gets what is published to a route: its bindings are lost.
pub fn unbind(route: &str) -> Fault {
    let route = Name::new(route);
    FaultKind::Unbind { route }.into()
}

/// An exchange is deleted.
pub fn delete_exchange(exchange: &str) -> Fault {
    let exchange = Name::new(exchange);
    FaultKind::DeleteExchange { exchange }.into()
}

/// The dead-letter policy of a queue is lost.
pub fn drop_policy(queue: &str) -> Fault {
    let queue = Name::new(queue);
    FaultKind::DropPolicy { queue }.into()
}

/// The retry queue of a queue is deleted.
pub fn drop_retry_queue(queue: &str) -> Fault {
    let queue = Name::new(queue);
    FaultKind::DropRetryQueue { queue }.into()
}

/// The services' user may do nothing on the broker.
pub fn revoke_permissions() -> Fault {
    FaultKind::RevokePermissions.into()
}

/// The database has no connection left for the services.
pub fn exhaust_connections() -> Fault {
    FaultKind::ExhaustConnections.into()
}

/// Somebody else holds the rows of the analyses.
pub fn lock_rows() -> Fault {
    FaultKind::LockRows.into()
}

/// Somebody else holds the table of analyses.
pub fn lock_table() -> Fault {
    FaultKind::LockTable.into()
}

/// The database refuses to write.
pub fn read_only() -> Fault {
    FaultKind::ReadOnly.into()
}

/// The database's disk is full. Refused with a reason where that cannot be done to nobody else's harm.
pub fn fill_disk() -> Fault {
    FaultKind::DiskFull.into()
}

/// Somebody outside the pipeline misbehaves.
pub fn upstream(name: &str, does: Misbehaviour) -> Fault {
    FaultKind::Upstream {
        name: Name::new(name),
        does,
        limit: None,
    }
    .into()
}

impl Fault {
    fn frames(frames: When, does: FrameAction) -> Self {
        Self {
            what: What::Frames {
                frames,
                does,
                every: None,
                limit: None,
            },
            when: None,
        }
    }

    /// Not at once, but at a step; the frame that is this step is held until the fault has taken effect.
    pub fn when(mut self, condition: Condition) -> Self {
        self.when = Some(condition);
        self
    }

    /// To every so manieth frame only, of a fault about frames: `every(3)` leaves two alone and takes the third.
    pub fn every(mut self, nth: u64) -> Self {
        if let What::Frames { every, .. } = &mut self.what {
            *every = Some(nth);
        }
        self
    }

    /// So many times at most: of a fault about frames or an upstream. Others happen once anyway.
    pub fn times(mut self, count: u64) -> Self {
        match &mut self.what {
            What::Frames { limit, .. } | What::Kind(FaultKind::Upstream { limit, .. }) => {
                *limit = Some(count);
            }
            What::Kind(_) => {}
        }
        self
    }
}

/// The nth event that matches, counted from when the fault is armed.
pub fn nth(nth: impl Into<Nth>, when: When) -> Condition {
    Condition {
        nth: nth.into(),
        on: Awaited::Step(when),
        after: None,
    }
}

/// A report comes into a state on the links of a service; for `P0` and `P1` that is the publisher.
pub fn in_state(state: MessageState, by: &str) -> Condition {
    Awaited::State(state, Name::new(by), None).into()
}

/// `service` has so many deliveries unacknowledged on one channel.
pub fn unacked(count: u64, service: &str) -> Condition {
    Awaited::Unacked(count, Name::new(service)).into()
}

/// So many messages are ready in a queue.
pub fn depth(count: u64, queue: &str) -> Condition {
    Awaited::Depth(count, Name::new(queue)).into()
}

/// Another fault has come to this point.
pub fn once(other: &Outage, phase: Phase) -> Condition {
    Awaited::Fault(other.id().clone(), phase).into()
}

impl From<Awaited> for Condition {
    fn from(on: Awaited) -> Self {
        Self {
            nth: Nth::Exactly(1),
            on,
            after: None,
        }
    }
}

impl Condition {
    /// Of the nth report that is injected from now on only.
    pub fn of_report(mut self, nth: u64) -> Self {
        if let Awaited::State(.., which) = &mut self.on {
            *which = Some(Which::Coming(nth));
        }
        self
    }

    /// Of this message only.
    pub fn of(mut self, key: impl Into<Key>) -> Self {
        if let Awaited::State(.., which) = &mut self.on {
            *which = Some(Which::Key(key.into()));
        }
        self
    }

    /// Not the first, but the nth time.
    pub fn number(mut self, nth: impl Into<Nth>) -> Self {
        self.nth = nth.into();
        self
    }

    /// Counting begins only when `earlier` has come.
    pub fn after(mut self, earlier: Self) -> Self {
        self.after = Some(Box::new(earlier));
        self
    }
}

/// Acknowledgements by consumers; one that covers several deliveries counts for each.
pub fn ack() -> When {
    When::any(StepKind::Ack)
}

/// Rejections by consumers.
pub fn nack() -> When {
    When::any(StepKind::Nack)
}

/// Deliveries to consumers.
pub fn deliver() -> When {
    When::any(StepKind::Deliver)
}

/// Publishes.
pub fn publish() -> When {
    When::any(StepKind::Publish)
}

/// Confirms to publishers.
pub fn confirm() -> When {
    When::any(StepKind::Confirm)
}

/// Statements to the database.
pub fn statement(verb: Verb) -> When {
    let mut when = When::any(StepKind::Statement);
    when.pattern.verb = Some(verb);
    when
}

/// Answers of the database to statements.
pub fn answer(verb: Verb) -> When {
    let mut when = When::any(StepKind::DbOk);
    when.pattern.verb = Some(verb);
    when
}

/// Connections made.
pub fn connect() -> When {
    When::any(StepKind::Connect)
}

/// Connections that have ended, whoever ended them.
pub fn hang_up() -> When {
    When::any(StepKind::Disconnect)
}

/// Channels that were closed, whoever closed them.
pub fn channel_closed() -> When {
    When::any(StepKind::ChannelClosed)
}

/// Mandatory publishes that no queue took.
pub fn returned() -> When {
    When::any(StepKind::Return)
}

impl When {
    /// Any step of this kind.
    pub fn any(step: StepKind) -> Self {
        Self {
            pattern: Pattern::new(step),
            queue: None,
        }
    }

    /// On the links of this service only.
    pub fn by(mut self, service: &str) -> Self {
        self.pattern.by = Some(Name::new(service));
        self
    }

    /// On links to this backend only.
    pub fn to(mut self, backend: Backend) -> Self {
        self.pattern.to = Some(backend);
        self
    }

    /// Of the queue with this role only.
    pub fn on(mut self, queue: &str) -> Self {
        self.queue = Some(Name::new(queue));
        self
    }

    /// Of this message only.
    pub fn of(mut self, key: impl Into<Key>) -> Self {
        self.pattern.key = Some(key.into());
        self
    }

    /// Of messages that were retried so often only.
    pub fn retried(mut self, times: i64) -> Self {
        self.pattern.retry = Some(times);
        self
    }

    fn resolve(self, world: &World) -> Result<Pattern, Failure> {
        let Self {
            mut pattern,
            queue: role,
        } = self;
        if let Some(service) = &pattern.by {
            world.tap(service, Backend::Broker)?;
        }
        if let Some(role) = role {
            pattern.queue = Some(queue(world, &role)?.name.clone());
        }
        Ok(pattern)
    }
}

/// What a fault does and when, in the broker's names.
pub(super) fn resolve(
    world: &World,
    fault: Fault,
    seed: Seed,
) -> Result<(FaultKind, Option<Trigger>), Failure> {
    let what = match fault.what {
        What::Kind(kind) => kind,
        What::Frames {
            frames,
            does,
            every,
            limit,
        } => FaultKind::Frames {
            on: frames.resolve(world)?,
            does,
            every,
            limit,
        },
    };
    let when = fault.when.map(|when| condition(world, when, seed)).transpose()?;
    Ok((what, when))
}

/// A condition in the broker's names, with everything drawn that is to be drawn.
pub(crate) fn condition(world: &World, condition: Condition, seed: Seed) -> Result<Trigger, Failure> {
    let Condition { nth, on, after } = condition;
    let on = match on {
        Awaited::Step(when) => On::Step(when.resolve(world)?),
        Awaited::State(state, by, which) => {
            world.tap(&by, Backend::Broker)?;
            let key = which.map(|which| match which {
                Which::Key(key) => key,
                Which::Coming(nth) => Key::from(lock(&world.log).next_seq + nth),
            });
            On::State { state, by, key }
        }
        Awaited::Unacked(unacked, by) => {
            world.tap(&by, Backend::Broker)?;
            On::Unacked { unacked, by }
        }
        Awaited::Depth(depth, role) => On::Depth {
            depth,
            queue: queue(world, &role)?.name.clone(),
        },
        Awaited::Fault(fault, phase) => On::Fault { fault, phase },
    };
    let nth = match nth {
        Nth::Exactly(nth) => nth,
        Nth::Drawn(range) => seed.stream("nth").random_range(range),
    };
    let after = after
        .map(|after| self::condition(world, *after, seed.derive("after")).map(Box::new))
        .transpose()?;
    Ok(Trigger { nth, on, after })
}
