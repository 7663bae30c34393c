//! Who is answerable for which effect, as far as the topology tells.

use crate::name::Name;
use crate::topology::Topology;

/// The work queues whose consumers leave effects that can be seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Roles<'a> {
    /// Role of the queue whose consumer writes analyses: the one that produces the event.
    pub(super) analysis: Option<&'a Name>,
    /// Role of the queue whose consumer writes tags: the other consumer of what the analyzer consumes, if there is
    /// exactly one.
    pub(super) tags: Option<&'a Name>,
    /// Role of the queue whose consumer shows points, brands and totals.
    pub(super) renderer: Option<&'a Name>,
}

impl<'a> Roles<'a> {
    /// Derives them.
    pub(super) fn of(topology: &'a Topology) -> Self {
        let analyzer = topology.services.values().find(|service| match &topology.event {
            Some(event) => service.produces.contains(&event.route),
            None => !service.produces.is_empty(),
        });
        let analysis = analyzer.and_then(|service| service.consumes.as_ref());
        let effects = &topology.effects;
        let renderer = (effects.points.as_ref().map(|points| &points.service))
            .or_else(|| effects.brands.as_ref().map(|brands| &brands.service))
            .or_else(|| effects.totals.as_ref().map(|totals| &totals.service))
            .and_then(|service| topology.service(service)?.consumes.as_ref());
        let routes = analysis
            .and_then(|role| topology.queue(role))
            .map_or(&[][..], |queue| &queue.bind);
        let mut others = topology.queues.iter().filter(|(role, queue)| {
            Some(*role) != analysis
                && Some(*role) != renderer
                && queue.bind.iter().any(|route| routes.contains(route))
                && topology.consumer_of(role).is_some()
        });
        let tags = match (effects.tags.is_some(), others.next(), others.next()) {
            (true, Some((role, _)), None) => Some(role),
            _ => None,
        };
        Self {
            analysis,
            tags,
            renderer,
        }
    }
}
