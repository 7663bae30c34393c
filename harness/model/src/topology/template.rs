//! Templates of environment values: text with `{placeholder}`s, where `{{` and `}}` stand for braces.
//!
//! | placeholder | value | where |
//! |---|---|---|
//! | `{port}`, `{prefetch}`, `{concurrency}`, `{max_retries}` | the service's own field | services |
//! | `{queue}` | the broker's name of the queue that it consumes | services with `consumes` |
//! | `{exchange.ROLE}`, `{queue.ROLE}` | the broker's name | everywhere |
//! | `{route.ROLE}` | the routing key | everywhere |
//! | `{database.PART}` | `host`, `port`, `user`, `password`, `name` | everywhere |
//! | `{broker.PART}` | `host`, `port`, `user`, `password`, `vhost` | everywhere |
//! | `{upstream.url}` | where the harness plays it, as seen by the service | `upstreams.NAME.env` |
//!
//! A value is never read as a template again, and nothing comes from the process environment.

use std::collections::BTreeMap;

use crate::topology::{Service, Topology};

/// Why a template cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// `{` without `}`, or with another `{` in between.
    #[error("unclosed `{{`")]
    Unclosed,
    /// `}` without `{`.
    #[error("`}}` without `{{`")]
    Unopened,
    /// There is no such placeholder here.
    #[error("unknown placeholder `{{{0}}}`")]
    Unknown(String),
}

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(String),
}

impl Template {
    /// Parses `text`; [`TemplateError::Unknown`] is not found here.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            let (before, brace) = rest.split_at(at);
            parts.push(Part::Text(before.to_owned()));
            rest = if brace.starts_with("{{") || brace.starts_with("}}") {
                parts.push(Part::Text(brace[..1].to_owned()));
                &brace[2..]
            } else {
                let inner = brace.strip_prefix('{').ok_or(TemplateError::Unopened)?;
                let (name, rest) = inner.split_once('}').ok_or(TemplateError::Unclosed)?;
                if name.contains('{') {
                    return Err(TemplateError::Unclosed);
                }
                parts.push(Part::Value(name.to_owned()));
                rest
            };
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// The text with every placeholder replaced by its value.
    pub fn fill(&self, values: &Values) -> Result<String, TemplateError> {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => Ok(text.as_str()),
                Part::Value(name) => values
                    .get(name)
                    .ok_or_else(|| TemplateError::Unknown(name.clone())),
            })
            .collect()
    }
}

/// Parses `text` as a template and fills it.
pub fn fill(text: &str, values: &Values) -> Result<String, TemplateError> {
    Template::parse(text)?.fill(values)
}

/// The template that fills to `text`, whatever the values.
pub fn escape(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// How services reach a backend of their trial.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Address {
    /// Host name or IP address, as seen from inside the service.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The database, or the virtual host of the broker.
    pub name: String,
}

/// The values of placeholders, by name without braces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Values(BTreeMap<String, String>);

impl Values {
    /// What the placeholders mean for `service`, or for a step that runs before the services.
    pub fn new(topology: &Topology, service: Option<&Service>, database: &Address, broker: &Address) -> Self {
        let mut values = Self::default();
        for (prefix, address, name) in [("database", database, "name"), ("broker", broker, "vhost")] {
            values.set(format!("{prefix}.host"), &address.host);
            values.set(format!("{prefix}.port"), &address.port);
            values.set(format!("{prefix}.user"), &address.user);
            values.set(format!("{prefix}.password"), &address.password);
            values.set(format!("{prefix}.{name}"), &address.name);
        }
        for (role, exchange) in &topology.exchanges {
            values.set(format!("exchange.{role}"), &exchange.name);
        }
        for (role, route) in &topology.routes {
            values.set(format!("route.{role}"), &route.key);
        }
        for (role, queue) in &topology.queues {
            values.set(format!("queue.{role}"), &queue.name);
        }
        if let Some(service) = service {
            values.set("port", &service.port);
            values.set("prefetch", &service.prefetch);
            values.set("concurrency", &service.concurrency);
            values.set("max_retries", &service.max_retries);
            if let Some(queue) = service.consumes.as_ref().and_then(|role| topology.queue(role)) {
                values.set("queue", &queue.name);
            }
        }
        values
    }

    /// Gives `value` to the placeholder `name`.
    pub fn set(&mut self, name: impl Into<String>, value: &impl ToString) {
        self.0.insert(name.into(), value.to_string());
    }

    /// The value of the placeholder `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The placeholders, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Topology {
    /// The environment of `service`: the topology's templates overlaid by the service's own, filled from `values`.
    pub fn environment(
        &self,
        service: &Service,
        values: &Values,
    ) -> Result<BTreeMap<String, String>, TemplateError> {
        let mut templates = self.env.clone();
        templates.extend(service.env.clone());
        templates
            .into_iter()
            .map(|(name, template)| Ok((name, fill(&template, values)?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> Values {
        let mut values = Values::default();
        values.set("port", &8080);
        values.set("queue.tags", &"report-tags");
        values.set("braces", &"{port}");
        values
    }

    #[test]
    fn templates_fill() {
        use TemplateError::{Unclosed, Unknown, Unopened};
        let unknown = |name: &str| Err(Unknown(name.to_owned()));
        let filled = |text: &str| Ok(text.to_owned());
        for (template, expected) in [
            ("", filled("")),
            ("plain", filled("plain")),
            ("{port}", filled("8080")),
            (":{port}/{queue.tags}", filled(":8080/report-tags")),
            ("{port}{port}", filled("80808080")),
            ("{{port}}", filled("{port}")),
            ("{{{port}}}", filled("{8080}")),
            ("{braces}", filled("{port}")),
            ("}}{{", filled("}{")),
            ("gr\u{fc}n {port}", filled("gr\u{fc}n 8080")),
            ("{", Err(Unclosed)),
            ("{port", Err(Unclosed)),
            ("{po{rt}", Err(Unclosed)),
            ("}", Err(Unopened)),
            ("{port}}", Err(Unopened)),
            ("{}", unknown("")),
            ("{ port }", unknown(" port ")),
            ("{prot}", unknown("prot")),
        ] {
            assert_eq!(fill(template, &values()), expected, "{template}");
        }
    }

    proptest! {
        #[test]
        fn any_text_fills_or_is_refused(text in r"([a-z{}\u{e4}\u{1f4a5}]|\{port\}|\PC){0,24}") {
            let plain = !text.contains(['{', '}']);
            match fill(&text, &values()) {
                Ok(filled) => prop_assert!(filled == text || !plain),
                Err(_) => prop_assert!(!plain),
            }
        }

        #[test]
        fn escaped_text_comes_back(text in r"([{}a]|\PC){0,24}") {
            prop_assert_eq!(fill(&escape(&text), &Values::default()), Ok(text));
        }
    }
}
