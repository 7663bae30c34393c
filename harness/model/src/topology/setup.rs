//! What a scenario asks of a pipeline besides what its topology says.

use crate::name::Name;
use crate::topology::{QueueKind, Topology};

/// One such wish. It changes what is started and provisioned, and what the invariants expect with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// So many containers of a service.
    Instances(&'static str, u16),
    /// Work queues are quorum queues.
    Quorum,
    /// A service asks the upstream of this name, which the harness plays.
    Upstream(&'static str),
    /// There is an ops box beside the pipeline, in which scripts run.
    Box,
    /// The services are started by the deploy script, through the box and from a registry, not by the harness.
    Deployed,
}

impl Topology {
    /// This topology with what a scenario asks for.
    ///
    /// # Errors
    /// When it has no such service or upstream; says which there are.
    pub fn with(&self, setup: &[Setup]) -> Result<Self, String> {
        let mut changed = self.clone();
        for wish in setup {
            match *wish {
                Setup::Instances(role, count) => {
                    let service = changed
                        .services
                        .get_mut(role)
                        .ok_or_else(|| missing("service", role, self.services.keys()))?;
                    service.instances = count;
                }
                Setup::Box | Setup::Deployed => {
                    let ops = self.ops.as_ref();
                    if ops.is_none() {
                        return Err(
                            "the topology has no table `ops`, which says how a platform is run".to_owned(),
                        );
                    }
                    if *wish == Setup::Deployed && ops.is_none_or(|ops| ops.deploy.is_none()) {
                        return Err(
                            "the topology has no table `ops.deploy`, which says how services are deployed"
                                .to_owned(),
                        );
                    }
                }
                Setup::Quorum => {
                    for queue in changed.queues.values_mut() {
                        queue.kind = QueueKind::Quorum;
                    }
                }
                Setup::Upstream(name) => {
                    let upstream = self
                        .upstreams
                        .get(name)
                        .ok_or_else(|| missing("upstream", name, self.upstreams.keys()))?;
                    let service = changed
                        .services
                        .get_mut(&upstream.service)
                        .ok_or_else(|| missing("service", &upstream.service, self.services.keys()))?;
                    service.env.extend(upstream.env.clone());
                }
            }
        }
        Ok(changed)
    }
}

fn missing<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a Name>) -> String {
    let known: Vec<_> = known.map(Name::as_str).collect();
    let known = if known.is_empty() {
        "it has none".to_owned()
    } else {
        format!("it has {}", known.join(", "))
    };
    format!("the topology has no {what} called {name}; {known}")
}

#[cfg(test)]
mod tests {
    use super::Setup;
    use crate::topology::QueueKind;
    use crate::topology::tests::ci;

    #[test]
    fn each_wish_changes_what_it_is_about() {
        let changed = ci().with(&[Setup::Instances("tags", 2), Setup::Quorum]).unwrap();
        assert_eq!(changed.services["tags"].instances, 2);
        assert_eq!(changed.services["analyzer"].instances, 1);
        assert!(
            changed
                .queues
                .values()
                .all(|queue| queue.kind == QueueKind::Quorum)
        );
    }

    #[test]
    fn without_its_table_there_is_no_box() {
        let mut topology = ci();
        assert!(topology.with(&[Setup::Box, Setup::Deployed]).is_ok());
        if let Some(ops) = &mut topology.ops {
            ops.deploy = None;
        }
        assert!(topology.with(&[Setup::Box]).is_ok());
        let error = topology.with(&[Setup::Deployed]).unwrap_err();
        assert!(error.contains("no table `ops.deploy`"), "{error}");
        topology.ops = None;
        let error = topology.with(&[Setup::Box]).unwrap_err();
        assert!(error.contains("no table `ops`"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_named_with_what_is() {
        let error = ci().with(&[Setup::Instances("tagz", 2)]).unwrap_err();
        assert_eq!(
            error,
            "the topology has no service called tagz; it has analyzer, renderer, tags"
        );
    }
}
