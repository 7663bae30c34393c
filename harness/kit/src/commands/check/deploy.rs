//! `harness check deploy`.

use futures::future::join_all;
use harness_model::ops::ports::Open;
use harness_model::ops::versions::{Answer, Expected};
use harness_model::ops::{pins, ports, running, versions};
use harness_runner::check::{Checked, DeployCheck};
use harness_runner::config::Settings;
use harness_runner::exit::Refusal;
use harness_stack::probe;
use jiff::Timestamp;

use super::{Asked, NO_ENGINE, Unknown, containers, day, policy, read};

const NO_PINS: &str = "not asked; see --pins";

pub(super) async fn run(
    settings: &Settings,
    asked: &DeployCheck,
    now: Timestamp,
) -> Result<Vec<Checked>, Refusal> {
    let policy = policy(asked.policy.as_deref())?;
    let written = match asked.pins.as_deref() {
        None => None,
        Some(pins) => Some((pins, read(pins)?)),
    };
    let compose = Asked::new(settings, &asked.compose).await?;
    let base = compose.base().await?;
    let mut checked = Vec::new();

    let internal = asked.internal.as_deref().or(policy.images.internal.as_deref());
    let merged = match &written {
        None => {
            checked.push(Checked::skipped(pins::PARSES, NO_PINS));
            checked.push(Checked::skipped(pins::COMPLETE, NO_PINS));
            Some(base.clone())
        }
        Some((file, text)) => {
            let merged = compose.with(Some(file)).await?;
            let said = merged.as_ref().map_err(String::as_str);
            checked.push(Checked::of(
                pins::PARSES,
                file.as_str(),
                pins::parses(file.as_str(), text, said),
            ));
            merged.ok()
        }
    };
    let Some(merged) = merged else {
        // Whatever else could be said would be of a configuration that will not run.
        let refused = "not asked: Compose refuses the override";
        let rest = [
            pins::COMPLETE,
            pins::THIRD_PARTY,
            running::DIGEST,
            ports::MAPPINGS,
            ports::POLICY,
        ];
        checked.extend(rest.map(|rule| Checked::skipped(rule, refused)));
        checked.push(answers(asked).await);
        return Ok(checked);
    };

    let prefix = internal.unwrap_or("");
    if let Some((file, _)) = &written {
        let pinned = pins::Pinned {
            file: file.as_str(),
            base: &base,
            merged: &merged,
            internal: prefix,
        };
        let looked_at = match internal {
            Some(prefix) => format!("{} services of {prefix}", base.internal(prefix).len()),
            None => format!("{} services", merged.services.len()),
        };
        let strict = internal
            .is_none()
            .then(|| "without --internal every image has to be pinned".to_owned());
        checked.push(Checked::of(pins::COMPLETE, looked_at, pins::complete(&pinned)).noting(strict));
    }
    checked.push(match internal {
        None => Checked::skipped(pins::THIRD_PARTY, "not asked; see --internal"),
        Some(prefix) => {
            let others = merged.services.len() - merged.internal(prefix).len();
            let findings = pins::third_party(&merged, &policy.images, prefix, day(now));
            Checked::of(
                pins::THIRD_PARTY,
                format!("{others} services of others"),
                findings,
            )
            .noting(policy.images.unused(&merged))
        }
    });
    checked.push(if written.is_none() {
        Checked::skipped(running::DIGEST, NO_PINS)
    } else {
        match containers(&merged.name).await {
            Err(Unknown::NoEngine) => Checked::skipped(running::DIGEST, format!("not asked: {NO_ENGINE}")),
            Err(Unknown::Unasked(why)) => {
                let looked_at = format!("the containers of project {}", merged.name);
                Checked::skipped(running::DIGEST, looked_at).missing(why)
            }
            Ok(found) => {
                let looked_at = format!("{} containers of project {}", found.len(), merged.name);
                Checked::of(running::DIGEST, looked_at, running::digests(&merged, &found))
            }
        }
    });
    checked.push(Checked::of(
        ports::MAPPINGS,
        "the merged configuration",
        ports::mappings(&merged, &policy.ports, day(now)),
    ));
    checked.push(Checked::of(
        ports::POLICY,
        "the merged configuration",
        ports::policy(&policy.ports, &Open::of_config(&merged), day(now)),
    ));
    checked.push(answers(asked).await);
    Ok(checked)
}

/// What the endpoints say of themselves, all of them asked at once.
async fn answers(asked: &DeployCheck) -> Checked {
    if asked.versions.is_empty() {
        return Checked::skipped(versions::AGREE, "not asked; see --versions");
    }
    let answers = join_all(asked.versions.iter().map(async |url| Answer {
        of: url.clone(),
        service: None,
        body: probe::get(url).await,
    }));
    let expected = Expected {
        git_sha: asked.git_sha.clone(),
        ..Expected::default()
    };
    let findings = versions::agree(&answers.await, &expected);
    Checked::of(
        versions::AGREE,
        format!("{} endpoints", asked.versions.len()),
        findings,
    )
}
