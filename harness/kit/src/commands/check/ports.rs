//! `harness check ports`.

use harness_model::ops::firewall::{self, Firewall};
use harness_model::ops::ports::{self, Open, SocketError};
use harness_runner::check::{Checked, PortsCheck};
use harness_runner::config::Settings;
use harness_runner::exit::Refusal;
use jiff::Timestamp;

use super::{Asked, NO_ENGINE, Unknown, containers, day, policy, read};

/// Where Linux tells what listens.
const PROC: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];

pub(super) async fn run(
    settings: &Settings,
    asked: &PortsCheck,
    now: Timestamp,
) -> Result<Vec<Checked>, Refusal> {
    let policy = policy(asked.policy.as_deref())?.ports;
    let rules = match &asked.rules {
        None => None,
        Some(file) => {
            let rules = Firewall::parse(file.as_str(), &read(file)?);
            Some(rules.map_err(|error| Refusal::config(error.to_string()))?)
        }
    };
    let (from, listening) = sockets(asked)?;
    let compose = Asked::new(settings, &asked.compose).await?;
    let config = compose.base().await?;

    let configured = Open::of_config(&config);
    let (bound, seen, missed) = match containers(&config.name).await {
        Ok(running) => {
            let bound = Open::of_running(&running);
            let seen = format!("{} bound by containers", bound.len());
            (bound, seen, None)
        }
        // What containers had opened would listen on this machine anyway.
        Err(Unknown::NoEngine) => (Vec::new(), format!("no containers ({NO_ENGINE})"), None),
        Err(Unknown::Unasked(why)) => (Vec::new(), "containers not asked".to_owned(), Some(why)),
    };
    let all: Vec<_> = [&configured[..], &bound, &listening].concat();
    let today = day(now);
    let looked_at = format!(
        "{} published ports, {seen}, {} listening sockets ({from})",
        configured.len(),
        listening.len()
    );
    let open = Checked::of(ports::POLICY, looked_at, ports::policy(&policy, &all, today))
        .noting(policy.unused(&all));
    let mut checked = vec![
        Checked::of(
            ports::MAPPINGS,
            "the merged configuration",
            ports::mappings(&config, &policy, today),
        ),
        match missed {
            Some(why) => open.missing(why),
            None => open,
        },
    ];
    checked.push(match rules {
        None => Checked::skipped(firewall::POLICY, "not asked; see --rules"),
        Some(rules) => {
            let looked_at = format!("{} rules that let in, of {}", rules.openings(), rules.file);
            let heard: Vec<_> = [&bound[..], &listening].concat();
            Checked::of(
                firewall::POLICY,
                looked_at,
                rules.judge(&policy, Some(&heard), today),
            )
        }
    });
    Ok(checked)
}

/// What listens, and where that was read.
fn sockets(asked: &PortsCheck) -> Result<(String, Vec<Open>), Refusal> {
    let refused = |error: SocketError| Refusal::config(error.to_string());
    let Some(file) = &asked.sockets else {
        let mut all = Vec::new();
        for path in PROC {
            all.extend(Open::of_proc(path, &read(path.into())?).map_err(refused)?);
        }
        return Ok(("/proc/net".to_owned(), all));
    };
    let text = read(file)?;
    let of_kernel = text.trim_start().starts_with("sl ");
    let found = if of_kernel {
        Open::of_proc(file.as_str(), &text)
    } else {
        Open::of_ss(file.as_str(), &text)
    };
    Ok((file.to_string(), found.map_err(refused)?))
}
