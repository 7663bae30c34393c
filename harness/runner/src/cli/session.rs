//! What commands that run trials share: a run's folder, a runtime, and an interruption.

use std::time::Duration;

use tokio::runtime::Runtime;

use crate::cancel::Cancel;
use crate::config::Settings;
use crate::exit::{Exit, Refusal};
use crate::kit::Kit;
use crate::quarantine::Ward;
use crate::trial::{Limits, Shared};
use crate::{logging, store};

/// A run that has its folder, its runtime and its interruption, and no environment yet.
pub(super) struct Session<'a> {
    pub(super) run: store::Run,
    pub(super) runtime: &'a Runtime,
    pub(super) cancel: Cancel,
    /// Nothing; a run takes its own.
    pub(super) ward: Ward,
}

/// Does something with trials, in a session of its own.
pub(super) fn session<K: Kit, T>(
    kit: &K,
    settings: &Settings,
    work: impl FnOnce(&Session<'_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    logging::init(&settings.log)?;
    let run = store::Run::create(&settings.out_dir(), None, store::KEPT)?;
    kit.available(settings).map_err(Refusal::engine)?;
    with_runtime(|runtime| {
        let cancel = Cancel::default();
        cancel
            .on_signals(runtime.handle())
            .map_err(|error| Refusal::config(format!("cannot wait for signals: {error}")))?;
        work(&Session {
            run,
            runtime,
            cancel,
            ward: Ward::default(),
        })
    })
}

impl Session<'_> {
    /// What comes of `work`, unless there is an interruption first.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => done,
                () = self.cancel.cancelled() => {
                    Err(Refusal { exit: Exit::Interrupted, what: "interrupted".to_owned(), hint: None })
                }
            }
        })
    }

    /// What trials of one environment share.
    pub(super) fn shared<'a, K: Kit>(
        &'a self,
        kit: &K,
        settings: &'a Settings,
        environment: &'a K::Environment,
    ) -> Shared<'a, K::Environment> {
        Shared {
            environment,
            judge: kit.judge(),
            limits: Limits::default(),
            run: &self.run,
            under_test: &settings.under_test,
            ward: &self.ward,
            cancel: &self.cancel,
        }
    }
}

/// Does something in a runtime of its own.
pub(super) fn with_runtime<T>(work: impl FnOnce(&Runtime) -> Result<T, Refusal>) -> Result<T, Refusal> {
    let runtime = Runtime::new().map_err(|error| Refusal {
        exit: Exit::Bug,
        what: format!("cannot start the runtime: {error}"),
        hint: None,
    })?;
    let context = runtime.enter();
    let result = work(&runtime);
    drop(context);
    // Tasks that are still there belong to nobody any more.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}
