//! Something is done to frames as they pass: delay, loss, reordering, or a refusal by the server.
//!
//! Inject: a standing rule in the taps. Bit: it was applied to at least one frame. Heal: the rule ends. Healed: it is
//! gone, and how often it was applied is said.

use std::sync::Mutex;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::Step;
use harness_model::fault::{FrameAction, Pattern};
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_stack::wait;
use harness_wire::recorder::{Action, Rule, Standing};

use super::act::{Act, Proof, Scene};
use crate::world::lock;

/// Longest wait for a frame that matches.
const DEADLINE: Duration = Duration::from_secs(55);

/// A rule about frames.
pub(super) struct Frames {
    rule: Rule,
    standing: Mutex<Option<Standing>>,
}

impl Frames {
    pub(super) fn new(on: &Pattern, does: FrameAction, every: Option<u64>, limit: Option<u64>) -> Self {
        let action = match does {
            FrameAction::Delay(ms) => Action::Delay(Duration::from_millis(ms.into())),
            FrameAction::Drop => Action::Drop,
            FrameAction::Reorder => Action::Reorder,
            FrameAction::Refuse(code) => Action::Refuse(code),
        };
        let rule = Rule {
            pattern: on.clone(),
            action,
            every: every.unwrap_or(1),
            limit,
        };
        Self {
            rule,
            standing: Mutex::default(),
        }
    }
}

impl Act for Frames {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let from = scene.world.recorder.len();
            let standing = scene.world.recorder.rule(scene.id.clone(), self.rule.clone());
            *lock(&self.standing) = Some(standing);
            let applied = scene.event(from, DEADLINE, |event| {
                matches!(&event.step, Step::Held { fault, .. } | Step::Released { fault, .. } if *fault == scene.id)
            });
            match applied.await {
                Some(n) => Ok(format!("applied, event {n}")),
                None => Err(Failure::invalid(format!(
                    "no {} was seen within {} s",
                    self.rule.pattern,
                    DEADLINE.as_secs()
                ))),
            }
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let standing = lock(&self.standing).take();
            let count = standing.as_ref().map_or(0, Standing::count);
            drop(standing);
            // A frame that is being delayed now still has its time to wait.
            let gone = wait::until("delayed frames to be gone", DEADLINE, || async {
                match held(scene) {
                    0 => Ok(()),
                    held => Err(format!("{held} are held")),
                }
            });
            gone.await
                .map_err(|timed_out| Failure::infra(timed_out.to_string()))?;
            Ok(format!("it was applied to {count}"))
        }
        .boxed()
    }
}

/// How many frames are held by this fault.
fn held(scene: &Scene) -> usize {
    scene.world.recorder.with(|events| {
        let count = |is: fn(&Step) -> Option<&Name>| {
            let of_fault = events.iter().filter(|event| is(&event.step) == Some(&scene.id));
            of_fault.count()
        };
        let held = count(|step| match step {
            Step::Held { fault, .. } => Some(fault),
            _ => None,
        });
        let released = count(|step| match step {
            Step::Released { fault, .. } => Some(fault),
            _ => None,
        });
        held.saturating_sub(released)
    })
}
