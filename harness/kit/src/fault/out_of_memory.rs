//! A service's memory is used up, and the kernel kills it.
//!
//! Inject: the container gets a limit a little above what it uses, and a file in its memory (`/dev/shm`) grows until
//! that is reached. The file belongs to no process, so the kernel kills the largest one that there is: the service. Bit:
//! the container has ended with 137, and the engine says that it was for want of memory, or the file was still growing.
//! (The engine hears of it from the container's control group, and misses it if the group is gone first.) Heal: no limit
//! to speak of, start; the file is gone with the container's end. Healed: it is healthy.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use harness_model::event::Fate;
use harness_model::fault::Target;
use harness_model::name::Name;
use harness_runner::environment::Failure;

use super::act::{Act, Proof, Scene};
use super::kill;

/// What the service may use more than now, in bytes: less than the file, which may be 64 MiB on any engine.
const HEADROOM: i64 = 12 * 1024 * 1024;
/// Longest time from a full memory to the end of the container.
const END: Duration = Duration::from_secs(10);
/// Grows a file in memory to 60 MiB.
const FILL: [&str; 5] = ["dd", "if=/dev/zero", "of=/dev/shm/fill", "bs=1M", "count=60"];
/// What the limit is set to afterwards: engines have no way back to none at all for a container that has one.
const PLENTY: i64 = 16 * 1024 * 1024 * 1024;

/// Out of memory.
pub(super) struct OutOfMemory {
    target: Target,
}

impl OutOfMemory {
    pub(super) fn new(service: &Name) -> Self {
        Self {
            target: Target::Service(service.clone()),
        }
    }
}

impl Act for OutOfMemory {
    fn inject<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (world, target) = (&scene.world, &self.target);
            let id = kill::container(world, target).await?;
            let refused = |error| Failure::infra(format!("memory of {target}: {error}"));
            let used = world.engine.memory_used(&id).await.map_err(refused)?;
            world
                .engine
                .limit(&id, Some(used + HEADROOM), None)
                .await
                .map_err(refused)?;
            // It dies with the container, or has filled its file and nothing happened.
            let filled = world.engine.exec(&id, &FILL).await;
            let ended = tokio::time::timeout(END, kill::ended(world, target, "killed")).await;
            let Ok(exit) = ended else {
                let said = filled.map_or_else(
                    |error| error.to_string(),
                    |output| format!("dd ended with code {}: {}", output.code, output.stderr.trim()),
                );
                return Err(Failure::invalid(format!(
                    "the memory of {target} could not be used up: {said}"
                )));
            };
            let exit = exit?;
            let state = world.engine.inspect(&id).await.map_err(refused)?;
            let filling = filled.map(|output| output.code).ok();
            proof(exit, state.oom_killed, filling).map_err(|why| Failure::invalid(format!("{target} {why}")))
        }
        .boxed()
    }

    fn heal<'a>(&'a self, scene: &'a Scene) -> BoxFuture<'a, Proof> {
        async {
            let (world, target) = (&scene.world, &self.target);
            let id = kill::container(world, target).await?;
            world
                .engine
                .limit(&id, Some(PLENTY), None)
                .await
                .map_err(|error| Failure::infra(format!("memory limit of {target}: {error}")))?;
            kill::start(world, target).await
        }
        .boxed()
    }

    fn fate(&self, scene: &Scene) -> Fate {
        kill::dies_with(scene, &self.target)
    }
}

/// Whether it was for want of memory that a service ended with `exit`: the engine says so, or what filled the memory was
/// killed with it. `filling` is the exit code of that, if the engine knows one.
fn proof(exit: i64, engine_says_so: bool, filling: Option<i64>) -> Result<String, String> {
    match (exit, engine_says_so, filling) {
        (kill::KILLED, true, _) => Ok(format!("exit code {exit}, for want of memory")),
        (kill::KILLED, false, None | Some(kill::KILLED)) => {
            Ok(format!("exit code {exit}, while its memory was being used up"))
        }
        _ => {
            let filling = filling.map_or("was cut off".to_owned(), |code| format!("ended with code {code}"));
            Err(format!(
                "ended with code {exit}, what used its memory up {filling}, \
                 and the engine does not say that it was for want of memory"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kill_counts_if_the_engine_names_it_or_it_hit_the_filling_as_well() {
        for (exit, engine_says_so, filling, counts) in [
            (137, true, Some(137), true),
            (137, true, Some(0), true),
            (137, false, Some(137), true),
            (137, false, None, true),
            (137, false, Some(0), false),
            (137, false, Some(1), false),
            (1, false, Some(137), false),
            (1, true, None, false),
            (0, false, Some(0), false),
        ] {
            let found = proof(exit, engine_says_so, filling);
            assert_eq!(
                found.is_ok(),
                counts,
                "{exit} {engine_says_so} {filling:?}: {found:?}"
            );
        }
    }
}
