//! Ports: how a configuration publishes them, what listens, and what the policy allows.
//!
//! Two rules. [`mappings`]: a port of a container is published once; an override whose list was appended to the one below
//! it, where it should have replaced it, publishes it twice. [`policy`]: only public ports may be open to others than this
//! machine. It looks at whatever is [`Open`]: in the merged configuration, on the engine, and on the machine itself.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use jiff::civil::Date;

use super::compose::{Config, Port, Published, Service};
use super::fail;
use super::policy::{PortException, PortPolicy};
use super::running::Running;
use super::sockets;
use crate::verdict::Finding;

pub use super::sockets::SocketError;

/// Each port of a container is published once.
pub const MAPPINGS: &str = "port-mappings";
/// Only public ports are open.
pub const POLICY: &str = "port-policy";

/// What stands in the place of a protocol for whatever a service listens on.
const ANYTHING: &str = "anything";
/// The mode, and the network, of a container that has none of its own.
const HOST: &str = "host";

/// Something that can be reached, or would be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Open {
    /// Where it was seen, in words: `service web in the configuration`.
    pub seen: String,
    /// The service that it belongs to, if that is known.
    pub service: Option<String>,
    /// The address that it is bound to.
    pub address: IpAddr,
    /// The port; 0 if the engine chooses one, or if it may be any.
    pub port: u16,
    /// What is spoken: `tcp` or `udp`; `anything` if nothing stands between a service and the machine's network.
    pub protocol: String,
}

/// Rule `port-mappings`: ports that are published more than once, and addresses that two services ask for. A mapping that
/// an exception of the policy is for may stand beside another until the exception ends; `today` is the day it is.
pub fn mappings(merged: &Config, allowed: &PortPolicy, today: Date) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut taken: Vec<(&str, &Service, &Port)> = Vec::new();
    for (name, service) in &merged.services {
        let mut by_target: BTreeMap<(u16, &str), Vec<&Port>> = BTreeMap::new();
        for port in &service.ports {
            by_target
                .entry((port.target, &port.protocol))
                .or_default()
                .push(port);
        }
        for ((target, protocol), mapped) in by_target {
            let excepted = |port: &Port| {
                let mut ports = port.published.iter().flat_map(Published::ports);
                ports.any(|port| allowed.excepts(name, port, protocol, today))
            };
            let plain: Vec<_> = mapped.iter().copied().filter(|port| !excepted(port)).collect();
            if plain.len() > 1 && !one_loopback(&plain) {
                let shown: Vec<_> = mapped.iter().map(|port| port.short()).collect();
                let what = format!(
                    "service {name}: port {target}/{protocol} is published {} times: {}; expected one mapping (a list of \
                     ports in an override is appended, unless it is marked !override)",
                    mapped.len(),
                    shown.join(", ")
                );
                findings.push(fail(MAPPINGS, what));
            }
        }
        for port in &service.ports {
            let clash = taken.iter().find(|(other, beside, there)| {
                *other != name && clash(there, port) && beside.runs_beside(service)
            });
            if let Some((other, _, there)) = clash {
                let (here, there) = (port.short(), there.short());
                let what = format!("services {other} and {name} ask for the same port: {there} and {here}");
                findings.push(fail(MAPPINGS, what));
            }
            taken.push((name, service, port));
        }
    }
    findings
}

/// The same port on both families' loopback addresses: one mapping, written twice.
fn one_loopback(mapped: &[&Port]) -> bool {
    let same = mapped.iter().all(|port| port.published == mapped[0].published);
    let families: Vec<_> = mapped
        .iter()
        .filter_map(|port| port.address())
        .filter(IpAddr::is_loopback)
        .map(|address| address.is_ipv4())
        .collect();
    same && mapped.len() == 2 && (families == [true, false] || families == [false, true])
}

fn clash(a: &Port, b: &Port) -> bool {
    let (Some(at_a), Some(at_b)) = (a.address(), b.address()) else {
        return false;
    };
    let (Some(ports_a), Some(ports_b)) = (&a.published, &b.published) else {
        return false;
    };
    // Of two ranges the engine takes what is free.
    let one = |published: &Published| published.ports().len() == 1;
    a.protocol == b.protocol
        && one(ports_a)
        && ports_a == ports_b
        && (at_a == at_b || at_a.is_unspecified() || at_b.is_unspecified())
}

impl Open {
    /// What a configuration would open. A service on the machine's own network has open whatever it listens on.
    pub fn of_config(config: &Config) -> Vec<Self> {
        let mut all = Vec::new();
        for (name, service) in &config.services {
            if config.is_on_host(name) {
                let mode = service.network_mode.as_deref().unwrap_or(HOST);
                all.push(Self::anything(
                    format!("service {name} in the configuration (network_mode: {mode})"),
                    name,
                ));
            }
            for port in &service.ports {
                // An address that is none will be refused by the engine; until then it may be any.
                let address = port.address().unwrap_or(IpAddr::from([0, 0, 0, 0]));
                let ports = port.published.as_ref().map_or(0..=0, Published::ports);
                all.extend(ports.map(|number| Self {
                    seen: format!("service {name} in the configuration ({})", port.short()),
                    service: Some(name.clone()),
                    address,
                    port: number,
                    protocol: port.protocol.clone(),
                }));
            }
        }
        all
    }

    /// What containers have opened.
    pub fn of_running(running: &[Running]) -> Vec<Self> {
        let mut all = Vec::new();
        for one in running {
            if one.container.networks.contains(HOST) {
                let seen = format!("container {} (on the network {HOST})", one.name);
                all.push(Self::anything(seen, &one.service));
            }
            for (target, bound) in &one.container.ports {
                let (_, protocol) = target.split_once('/').unwrap_or((target, "tcp"));
                for address in bound.iter().filter_map(|bound| bound.parse::<SocketAddr>().ok()) {
                    all.push(Self {
                        seen: format!("container {} ({address}->{target})", one.name),
                        service: (!one.service.is_empty()).then(|| one.service.clone()),
                        address: address.ip(),
                        port: address.port(),
                        protocol: protocol.to_owned(),
                    });
                }
            }
        }
        all
    }

    /// Those of the machine's sockets that are a platform's, by what its containers have open: at one of their ports, and at
    /// all addresses or the one that the container was given. Whatever is bound to another address is somebody else's who
    /// has got the same number.
    pub fn of_platform(containers: &[Self], sockets: Vec<Self>) -> Vec<Self> {
        let theirs = |socket: &Self| {
            containers.iter().any(|one| {
                one.port == socket.port && (socket.address.is_unspecified() || socket.address == one.address)
            })
        };
        sockets.into_iter().filter(theirs).collect()
    }

    /// What listens by the text of `/proc/net/tcp` or `/proc/net/tcp6`.
    ///
    /// # Errors
    /// A line of it cannot be read.
    pub fn of_proc(file: &str, text: &str) -> Result<Vec<Self>, SocketError> {
        Ok(sockets::of_proc(file, text)?
            .into_iter()
            .map(|at| Self::listening(file, at))
            .collect())
    }

    /// What listens by the output of `ss -H -ltn`.
    ///
    /// # Errors
    /// A line of it cannot be read.
    pub fn of_ss(file: &str, text: &str) -> Result<Vec<Self>, SocketError> {
        Ok(sockets::of_ss(file, text)?
            .into_iter()
            .map(|at| Self::listening(file, at))
            .collect())
    }

    fn listening(file: &str, at: SocketAddr) -> Self {
        Self {
            seen: format!("a socket that listens on {at} ({file})"),
            service: None,
            address: at.ip(),
            port: at.port(),
            protocol: "tcp".to_owned(),
        }
    }

    /// Whatever a service listens on.
    fn anything(seen: String, service: &str) -> Self {
        Self {
            seen,
            service: (!service.is_empty()).then(|| service.to_owned()),
            address: IpAddr::from([0, 0, 0, 0]),
            port: 0,
            protocol: ANYTHING.to_owned(),
        }
    }

    /// It can be reached from other machines.
    pub fn is_exposed(&self) -> bool {
        !self.address.to_canonical().is_loopback()
    }
}

impl PortPolicy {
    /// It may be open to everybody for good.
    pub fn is_public(&self, port: u16, protocol: &str) -> bool {
        protocol == "tcp" && self.public.contains(&port)
    }

    /// An exception lets a service have this port open on the day `today`.
    fn excepts(&self, service: &str, port: u16, protocol: &str, today: Date) -> bool {
        self.exceptions.iter().any(|exception| {
            let whose = exception.service.as_deref().is_none_or(|whose| whose == service);
            whose && exception.port == port && exception.protocol == protocol && exception.expires >= today
        })
    }

    /// The exceptions for something that is open. What listens without telling whose it is may be anybody's; for whatever a
    /// service listens on, there has to be one that names the service.
    fn exceptions_of(&self, open: &Open) -> Vec<&PortException> {
        let matches = |exception: &&PortException| {
            if open.protocol == ANYTHING {
                return exception.service.is_some() && exception.service == open.service;
            }
            let whose = match (&exception.service, &open.service) {
                (Some(whose), Some(service)) => whose == service,
                _ => true,
            };
            whose && exception.port == open.port && exception.protocol == open.protocol
        };
        self.exceptions.iter().filter(matches).collect()
    }

    /// The exceptions that nothing open needs, in words: they can go.
    pub fn unused(&self, open: &[Open]) -> Vec<String> {
        let used = |exception: &PortException| {
            let exposed = open.iter().filter(|open| open.is_exposed());
            exposed
                .flat_map(|open| self.exceptions_of(open))
                .any(|used| used == exception)
        };
        self.exceptions
            .iter()
            .filter(|exception| !used(exception))
            .map(|exception| {
                format!(
                    "nobody uses the exception of {} for port {}/{} any more",
                    exception.owner, exception.port, exception.protocol
                )
            })
            .collect()
    }

    /// Why this may not be open on the day `today`, if it may not.
    pub(super) fn refuses(&self, open: &Open, today: Date) -> Option<String> {
        if !open.is_exposed() || self.is_public(open.port, &open.protocol) {
            return None;
        }
        let exceptions = self.exceptions_of(open);
        if exceptions.iter().any(|exception| exception.expires >= today) {
            return None;
        }
        let latest = exceptions.iter().max_by_key(|exception| exception.expires);
        Some(latest.map_or_else(
            || {
                if open.protocol == ANYTHING {
                    return "expected a network of its own, or an exception that names the service"
                        .to_owned();
                }
                let public: Vec<_> = self.public.iter().map(u16::to_string).collect();
                format!("expected 127.0.0.1, since only {} are public", public.join(", "))
            },
            |ended| format!("the exception of {} ended on {}", ended.owner, ended.expires),
        ))
    }
}

/// Rule `port-policy`: what is open and may not be on the day `today`.
pub fn policy(allowed: &PortPolicy, open: &[Open], today: Date) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in open {
        let Some(why) = allowed.refuses(one, today) else {
            continue;
        };
        let port = match one.port {
            0 if one.protocol == ANYTHING => "whatever it listens on".to_owned(),
            0 => "a port that the engine chooses".to_owned(),
            port => format!("port {port}/{}", one.protocol),
        };
        let what = format!("{port} is open on {}: {}; {why}", one.address, one.seen);
        findings.push(fail(POLICY, what));
    }
    findings.dedup();
    findings
}
