//! The description of a pipeline under test: broker, database, what must exist on them, services, and where the
//! effects of a report are to be found.
//!
//! No other place of the harness knows the name of a queue, exchange, routing key, table or port. Scenarios speak of
//! *roles* (`analyzer`, `analysis`), which are the keys of the tables here; the values are what the broker, the
//! database and the services call them.
//!
//! [`Topology::parse`] (in [`parse`]) reads the TOML form and refuses a mistake with file, line, span and what was
//! expected instead. [`template`] fills in the environment of a service. A role may be written with letters, digits,
//! `_` and `-`; `broker`, `database` and `services` are no roles of services, because [`Topology::set_image`] takes
//! them for something else.
//!
//! Files are not opened here, and no name is made up: where a broker's convention would derive one name from another
//! (a dead-letter queue from its queue), the file says both.

mod check;
pub(crate) mod nearest;
pub mod ops;
pub mod parse;
mod setup;
pub mod template;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::Name;

pub use self::ops::Ops;
pub use self::setup::Setup;

/// What [`Topology::set_image`] takes besides the roles of services.
const RESERVED: [&str; 5] = ["broker", "database", "services", "ops", "registry"];

/// A pipeline under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// A short name, shown in reports.
    pub name: String,
    /// The message broker.
    pub broker: BackendImage,
    /// The database.
    pub database: BackendImage,
    /// How messages are told apart.
    pub messages: Messages,
    /// Exchanges by role.
    pub exchanges: BTreeMap<Name, Exchange>,
    /// Where messages are published to, by role.
    pub routes: BTreeMap<Name, Route>,
    /// Queues by role.
    pub queues: BTreeMap<Name, Queue>,
    /// One-shot steps before the services start, in this order.
    #[serde(default)]
    pub steps: Vec<Step>,
    /// Services by role.
    pub services: BTreeMap<Name, Service>,
    /// Environment templates given to every service; a service's own table wins.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Services may reach addresses outside the trial.
    #[serde(default)]
    pub outside: bool,
    /// The rows that a report is, in the order in which they are inserted before its message is published.
    #[serde(default)]
    pub inject: Vec<Insert>,
    /// What services can be made to ask outside the pipeline, by name. The harness plays it in the scenarios that
    /// disturb it; in all others the service's own environment says what it does instead.
    #[serde(default)]
    pub upstreams: BTreeMap<Name, Upstream>,
    /// Where effects are found.
    pub effects: Effects,
    /// The event that a report ends in.
    #[serde(default)]
    pub event: Option<EventFields>,
    /// How the platform is deployed and backed up. Without it there are no such scenarios.
    #[serde(default)]
    pub ops: Option<Ops>,
}

/// The image of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendImage {
    /// Reference in a registry. Where no registry answers, one of the same kind is built from Debian packages.
    pub image: String,
}

/// How messages are told apart and retried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// Dotted paths into a JSON body; the first one present names the report.
    pub key: Vec<String>,
    /// The header that counts retries.
    pub retry_header: String,
}

/// An exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Its name on the broker.
    pub name: Name,
    /// `direct`, `topic`, `fanout` or `headers`.
    pub kind: ExchangeKind,
}

/// The types of exchange of AMQP 0-9-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the protocol's word")]
pub enum ExchangeKind {
    Direct,
    Topic,
    Fanout,
    Headers,
}

/// A place to publish to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The exchange's role.
    pub exchange: Name,
    /// The routing key.
    pub key: String,
    /// Bodies published here are kept in the ledger, so that their fields can be compared with the database.
    #[serde(default)]
    pub record: bool,
}

/// A queue, with what surrounds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// Its name on the broker.
    pub name: Name,
    /// Classic, unless said otherwise.
    #[serde(default, rename = "type")]
    pub kind: QueueKind,
    /// The roles of the routes it is bound to.
    pub bind: Vec<Name>,
    /// No service of this topology consumes it: one copy of each message published to its routes stays in it, so it
    /// is not empty at rest. A queue without a consumer has to say so; one with a consumer must not.
    #[serde(default)]
    pub sink: bool,
    /// Where rejected messages go.
    #[serde(default)]
    pub dead_letter: Option<DeadLetter>,
    /// Where messages wait before they are tried again.
    #[serde(default)]
    pub retry: Option<Retry>,
}

/// RabbitMQ's queue types.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the broker's word")]
pub enum QueueKind {
    #[default]
    Classic,
    Quorum,
}

/// Dead-lettering of a queue, by policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetter {
    /// Role of the dead-letter exchange.
    pub exchange: Name,
    /// Routing key given to dead letters.
    pub key: String,
    /// The queue that collects them, bound with that key.
    pub queue: Name,
    /// Name of the policy.
    pub policy: String,
}

/// The retry queue of a queue: a TTL, after which messages go back through the default exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Name of the retry exchange (topic), to which the retry queue is bound with `#`.
    pub exchange: Name,
    /// Name of the retry queue.
    pub queue: Name,
    /// How long a message waits, in milliseconds.
    pub ttl_ms: u64,
}

/// Something that runs once, before the services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// A name for messages.
    pub name: String,
    /// SQL files, in order; relative to the topology file; a `*` in the last part means all that match, sorted.
    #[serde(default)]
    pub sql: Vec<String>,
    /// Image of a migration container; it must exit with 0.
    #[serde(default)]
    pub image: Option<String>,
    /// Its command.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its environment, as templates.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// One row (or one for each item of a list) that is inserted for a report before its message is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Insert {
    /// Table.
    pub table: String,
    /// A list field of the report: one row for each of its items, whose value is the field `item`.
    #[serde(default)]
    pub for_each: Option<Name>,
    /// Only if this field of the report is neither null nor absent.
    #[serde(default, rename = "if")]
    pub only_if: Option<Name>,
    /// Columns, and the field of the report that each takes: `seq`, `image` (its bytes), `item`, or a field of
    /// [`crate::report::Report`].
    pub columns: BTreeMap<String, Name>,
}

/// A service under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Image reference; `cleanapp-pipeline` is the reference pipeline, built from this workspace.
    pub image: String,
    /// Command, if not the image's own.
    #[serde(default)]
    pub command: Vec<String>,
    /// The port of its HTTP endpoints inside the container.
    pub port: u16,
    /// Role of the queue it consumes.
    #[serde(default)]
    pub consumes: Option<Name>,
    /// Roles of the routes it publishes to.
    #[serde(default)]
    pub produces: Vec<Name>,
    /// Most unacknowledged deliveries.
    pub prefetch: u16,
    /// Deliveries worked on at the same time.
    pub concurrency: u16,
    /// Containers of it: one, unless said otherwise. They share its taps, so they are one service in the ledger, with
    /// connections of their own.
    #[serde(default = "one")]
    pub instances: u16,
    /// Deliveries after the first before a message is dead-lettered.
    pub max_retries: u32,
    /// Health endpoint.
    pub health: Health,
    /// Path of the version endpoint.
    #[serde(default)]
    pub version: Option<String>,
    /// Services that must be healthy before this one is started.
    #[serde(default)]
    pub start_after: Vec<Name>,
    /// Environment templates.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

/// A health endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Path.
    pub path: String,
    /// Status of a healthy service: 200, unless said otherwise.
    #[serde(default = "ok")]
    pub status: u16,
    /// JSON pointer (RFC 6901) to the boolean that tells broker connectivity.
    #[serde(default)]
    pub broker: Option<String>,
}

/// A service that is not said to be more is one.
fn one() -> u16 {
    1
}

/// Somebody outside the pipeline whom a service asks over HTTP with JSON in the body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Role of the service that asks.
    pub service: Name,
    /// Environment templates that make it ask; they win over the service's own. `{upstream.url}` is the address.
    pub env: BTreeMap<String, String>,
    /// JSON pointer, in a request, to the report's sequence number.
    #[serde(default)]
    pub key: Option<String>,
    /// Body of a good answer. In it, a text `$/pointer` stands for that part of the request; a list of one table with the
    /// field `$each = "/pointer"` has one such table for each item of that list of the request, in which `$` stands for
    /// the item.
    pub answer: serde_json::Value,
}

/// The status code of HTTP for success.
fn ok() -> u16 {
    200
}

/// Where the effects of a report are found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Effects {
    /// The reports themselves; the pipeline must never change them.
    pub source: Table,
    /// Publication state.
    #[serde(default)]
    pub published: Option<Published>,
    /// Analyses: one row for each report and language.
    pub analysis: Analysis,
    /// Tags and their links.
    #[serde(default)]
    pub tags: Option<Tags>,
    /// Points of physical reports.
    #[serde(default)]
    pub points: Option<Points>,
    /// Totals by brand of digital reports.
    #[serde(default)]
    pub brands: Option<Brands>,
    /// Totals by class.
    #[serde(default)]
    pub totals: Option<Totals>,
}

/// A table whose rows belong to reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Name.
    pub table: String,
    /// Column with the report's sequence number.
    pub key: String,
}

/// Publication state of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// Name.
    pub table: String,
    /// Column with the report's sequence number.
    pub key: String,
    /// Column with the visibility; a report whose visibility is not `public` is analysed but not published.
    pub visibility: String,
    /// Column with the time of publication.
    pub at: String,
}

/// The table of analyses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analysis {
    /// Name.
    pub table: String,
    /// Column with the report's sequence number.
    pub key: String,
    /// Column with the language.
    pub language: String,
    /// The languages that each report must have, one row each.
    pub languages: Vec<String>,
    /// Columns that differ from run to run.
    #[serde(default)]
    pub ignore: Vec<String>,
}

/// The tables of tags and of links between reports and tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tags {
    /// Table of tags.
    pub table: String,
    /// Its key.
    pub id: String,
    /// Column with the canonical name.
    pub name: String,
    /// Column with the usage count.
    pub count: String,
    /// Table of links.
    pub links: String,
    /// Its column with the report's sequence number.
    pub link_key: String,
    /// Its column with the tag's key.
    pub link_tag: String,
}

/// An endpoint that lists points of physical reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Points {
    /// Role of the service.
    pub service: Name,
    /// Path and query.
    pub path: String,
    /// JSON pointer to the list.
    pub list: String,
    /// JSON pointer, in an item, to the report's sequence number.
    pub key: String,
}

/// An endpoint that lists totals by brand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brands {
    /// Role of the service.
    pub service: Name,
    /// Path and query.
    pub path: String,
    /// JSON pointer to the list.
    pub list: String,
    /// JSON pointer, in an item, to the brand.
    pub name: String,
    /// JSON pointer, in an item, to its total.
    pub count: String,
}

/// An endpoint with one total for each class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Role of the service.
    pub service: Name,
    /// Path and query.
    pub path: String,
    /// JSON pointer to the number of physical reports.
    pub physical: String,
    /// JSON pointer to the number of digital reports.
    pub digital: String,
}

/// The event that a report ends in, and what its fields must equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventFields {
    /// Role of the route it is published to.
    pub route: Name,
    /// The part about the report.
    pub report: EventPart,
    /// The part about its analyses: a list, one item for each language.
    pub analysis: EventPart,
}

/// One part of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventPart {
    /// JSON pointer to it.
    pub at: String,
    /// `source` or `analysis`: the effect whose columns its fields must equal.
    pub table: String,
    /// Fields; each equals the column of the same name.
    pub fields: Vec<String>,
}

/// Why [`Topology::set_image`] changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// Nothing with an image has this role.
    #[error("unknown role `{role}` of an image: {}; known: {}",
        nearest.as_ref().map_or("nothing is like it".to_owned(), |near| format!("did you mean `{near}`?")),
        known.join(", "))]
    Role {
        /// The role asked for.
        role: String,
        /// The known role that is most like it.
        nearest: Option<String>,
        /// All roles that [`Topology::set_image`] takes.
        known: Vec<String>,
    },
    /// The reference is empty.
    #[error("no image reference for `{role}`: expected for example `{role}=repository:tag`")]
    Empty {
        /// The role asked for.
        role: String,
    },
}

impl Topology {
    /// Gives the image `reference` to `role`: `broker`, `database`, a service, or `services` for all of them.
    /// Migration containers are not services; their images are set in the file only.
    pub fn set_image(&mut self, role: &str, reference: &str) -> Result<(), ImageError> {
        if reference.is_empty() {
            return Err(ImageError::Empty {
                role: role.to_owned(),
            });
        }
        match role {
            "broker" => reference.clone_into(&mut self.broker.image),
            "database" => reference.clone_into(&mut self.database.image),
            "ops" | "registry" => {
                let Some(ops) = &mut self.ops else {
                    return Err(self.no_image(role));
                };
                let image = if role == "ops" {
                    &mut ops.image
                } else {
                    &mut ops.registry
                };
                reference.clone_into(image);
            }
            "services" => self
                .services
                .values_mut()
                .for_each(|found| reference.clone_into(&mut found.image)),
            _ => {
                let Some(service) = self.services.get_mut(role) else {
                    return Err(self.no_image(role));
                };
                reference.clone_into(&mut service.image);
            }
        }
        Ok(())
    }

    fn no_image(&self, role: &str) -> ImageError {
        let services = self.services.keys().map(Name::as_str);
        let known: Vec<_> = RESERVED.into_iter().chain(services).map(str::to_owned).collect();
        let nearest = nearest::nearest(role, known.iter().map(String::as_str)).map(str::to_owned);
        ImageError::Role {
            role: role.to_owned(),
            nearest,
            known,
        }
    }

    /// The queue with this role.
    pub fn queue(&self, role: &str) -> Option<&Queue> {
        self.queues.get(role)
    }

    /// The service with this role.
    pub fn service(&self, role: &str) -> Option<&Service> {
        self.services.get(role)
    }

    /// The role of the queue that the broker calls `name`.
    pub fn queue_role(&self, name: &str) -> Option<&Name> {
        self.queues
            .iter()
            .find(|(_, queue)| queue.name == name)
            .map(|(role, _)| role)
    }

    /// The role of the route with this exchange name and routing key.
    pub fn route_role(&self, exchange: &str, key: &str) -> Option<&Name> {
        self.routes
            .iter()
            .find(|(_, route)| {
                route.key == key
                    && self
                        .exchanges
                        .get(&route.exchange)
                        .is_some_and(|found| found.name == exchange)
            })
            .map(|(role, _)| role)
    }

    /// The service that consumes the queue with this role.
    pub fn consumer_of(&self, queue: &str) -> Option<(&Name, &Service)> {
        self.services
            .iter()
            .find(|(_, service)| service.consumes.as_deref() == Some(queue))
    }
}
