//! Looks at everything that a run needs, and says what to do about what is missing.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use harness_runner::config::Settings;
use harness_runner::exit::{Exit, Refusal};
use harness_runner::kit::Kit as _;
use harness_stack::container::{Container, Launch};
use harness_stack::engine::Engine;
use harness_stack::images::{self, Resolved};

use super::{Harness, print, read_topology, specs, state};

/// Free disk space below which images cannot be built.
const DISK_NEEDED: u64 = 4 << 30;

/// One line for each thing.
struct Report<'a> {
    out: &'a mut dyn Write,
    missing: usize,
}

impl Report<'_> {
    fn good(&mut self, what: &str, found: &str) -> Result<(), Refusal> {
        print(self.out, &format!("ok       {what:22} {found}"))
    }

    fn bad(&mut self, what: &str, found: &str, todo: &str) -> Result<(), Refusal> {
        self.missing += 1;
        print(self.out, &format!("MISSING  {what:22} {found}"))?;
        print(self.out, &format!("         {:22} -> {todo}", ""))
    }
}

pub(super) async fn run(
    harness: &Harness,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<Exit, Refusal> {
    let mut report = Report { out, missing: 0 };
    if let Err(cause) = harness.available(settings) {
        report.bad(
            "engine's socket",
            &cause,
            "install a Docker engine and start it, or set DOCKER_HOST",
        )?;
        return Ok(Exit::NoEngine);
    }
    let engine = match Engine::connect().await {
        Ok(engine) => engine,
        Err(error) => {
            report.bad(
                "engine",
                &error.to_string(),
                "start the daemon; your user must be allowed to use its socket",
            )?;
            return Ok(Exit::NoEngine);
        }
    };
    let version = engine
        .version()
        .await
        .map_err(|error| Refusal::engine(error.to_string()))?;
    report.good(
        "engine",
        &format!(
            "{}, API {}, {}/{}",
            version.version, version.api, version.os, version.arch
        ),
    )?;

    let paths = state()?;
    report.good("state folder", &paths.dir().display().to_string())?;
    disk(&mut report, paths.dir())?;

    let (topology, _) = read_topology(settings)?;
    report.good("topology", &topology.name)?;
    let (wanted, _) = specs(&topology, settings, &paths)?;
    match images::all_present(&engine, &wanted, super::mode(settings)).await {
        Ok(Some(images)) => {
            for image in &images {
                report.good(&format!("image of {}", image.role), &image.reference)?;
            }
            if let Some(broker) = images.iter().find(|image| image.role == "broker") {
                gateway(&mut report, &engine, broker).await?;
            }
        }
        Ok(None) => report.bad(
            "images",
            "not all are in the engine",
            "`harness images` gets or builds them; every run does it, too",
        )?,
        Err(error) => report.bad("images", &error.to_string(), "see above")?,
    }
    Ok(if report.missing == 0 {
        Exit::Passed
    } else {
        Exit::NoEngine
    })
}

fn disk(report: &mut Report<'_>, folder: &std::path::Path) -> Result<(), Refusal> {
    match harness_stack::host::free_bytes(folder) {
        Ok(free) if free >= DISK_NEEDED => report.good("disk", &format!("{} GiB free", free >> 30)),
        Ok(free) => report.bad(
            "disk",
            &format!("{} MiB free", free >> 20),
            "free some: images take 2 GB while they are built",
        ),
        Err(error) => report.bad("disk", &error.to_string(), "see above"),
    }
}

/// Whether a container reaches a listener at its network's gateway address: that is where taps are.
async fn gateway(report: &mut Report<'_>, engine: &Engine, image: &Resolved) -> Result<(), Refusal> {
    let network = format!("harness-doctor-{}", std::process::id());
    let made = engine
        .create_network(&network, true, &std::collections::BTreeMap::new())
        .await;
    let gateway = match made {
        Ok(gateway) => gateway,
        Err(error) => {
            return report.bad(
                "network",
                &error.to_string(),
                "the engine must be able to make bridge networks",
            );
        }
    };
    let reached = reach(&network, gateway, image).await;
    // Ours by its name alone; nothing else is on it.
    drop(engine.remove_network(&network).await);
    match reached {
        Ok(()) => report.good("taps", &format!("a container reaches {gateway}")),
        Err(cause) => report.bad(
            "taps",
            &cause,
            "the engine must run on this machine (Linux), and no firewall may stand between its bridges and the host",
        ),
    }
}

async fn reach(network: &str, gateway: IpAddr, image: &Resolved) -> Result<(), String> {
    let listener = tokio::net::TcpListener::bind(SocketAddr::new(gateway, 0))
        .await
        .map_err(|error| format!("listen at {gateway}: {error}"))?;
    let port = listener.local_addr().map_err(|error| error.to_string())?.port();
    let launch = Launch {
        image: image.reference.clone(),
        name: network.to_owned(),
        network: network.to_owned(),
        entrypoint: Some("/bin/bash".to_owned()),
        command: vec!["-c".to_owned(), format!("exec 3<>/dev/tcp/{gateway}/{port}")],
        ..Launch::default()
    };
    let container = Container::start(&launch)
        .await
        .map_err(|error| error.to_string())?;
    let dialled = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await;
    container.remove().await.map_err(|error| error.to_string())?;
    match dialled {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no container reached {gateway}:{port} within 10 s")),
    }
}
