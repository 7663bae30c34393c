//! `harness stack up`: a pipeline that stands until it is interrupted, for a person to look at and to play with.
//!
//! It is an ordinary trial whose body waits for ever, so it comes up, is recorded and is taken down like any other. What
//! a person does goes through the taps as well and is in the ledger, on the link of the harness. Nothing is injected
//! and nothing is judged.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::future::pending;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;

use harness_model::event::Backend;
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_runner::kit::{ADDRESSES, UP};
use harness_runner::scenario::Outcome;
use harness_stack::client::HARNESS;

use crate::Scenario;
use crate::cx::Cx;
use crate::scenario::{Builder, secs};
use crate::world::lock;

/// The file, in the trial's folder, that holds the password. It is never printed.
const PASSWORD: &str = "password";

/// The scenario of a pipeline that stands.
pub(crate) fn scenario() -> Scenario {
    let week = secs(7 * 24 * 3600);
    Builder::new("stack::up", "a pipeline stands until it is interrupted", |cx| {
        Box::pin(stand(cx))
    })
    .budget(week)
    .done()
}

async fn stand(cx: &mut Cx) -> Outcome {
    let failed = |what: &str, cause: std::io::Error| Failure::infra(format!("write {what}: {cause}"));
    let path = cx.trial.dir.join(PASSWORD);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{}", cx.world.password))
        .map_err(|cause| failed(PASSWORD, cause))?;
    let text = addresses(cx, path.as_str()).await?;
    std::fs::write(cx.trial.dir.join(ADDRESSES), text).map_err(|cause| failed(ADDRESSES, cause))?;
    cx.trial.phase(UP);
    pending().await
}

/// Where everything is, a line each.
async fn addresses(cx: &Cx, password: &str) -> Result<String, Failure> {
    let world = &cx.world;
    let lease = lock(&world.grant).lease.clone();
    let harness = Name::new(HARNESS);
    let mut lines = Vec::new();
    for (role, which, scheme) in [
        ("broker", Backend::Broker, "amqp"),
        ("database", Backend::Database, "mysql"),
    ] {
        let at = world.tap(&harness, which)?.addr();
        lines.push((role.to_owned(), format!("{scheme}://{lease}@{at}/{lease}")));
    }
    for (name, running) in world.services.lock().await.iter() {
        let (ip, port) = (running.ip, running.service.port);
        let path = &running.service.health.path;
        lines.push((name.to_string(), format!("http://{ip}:{port}{path}")));
    }
    lines.push(("password".to_owned(), password.to_owned()));
    lines.push(("ledger".to_owned(), cx.trial.ledger_path().to_string()));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (name, address) in lines {
        writeln!(text, "{name:width$}  {address}").expect("a string takes what is written");
    }
    Ok(text)
}
