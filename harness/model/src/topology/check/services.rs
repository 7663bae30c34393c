//! Steps and services, the order of their start, and their environment.

use std::collections::BTreeMap;

use super::demand::Check;
use crate::name::Name;
use crate::topology::parse::suggest;
use crate::topology::template::{Address, Template, TemplateError, Values};
use crate::topology::{RESERVED, Service};

impl Check<'_> {
    pub(super) fn steps(&mut self) {
        for (index, step) in self.topology.steps.iter().enumerate() {
            let at = format!("steps.{index}");
            self.text(&format!("{at}.name"), &step.name);
            if step.sql.is_empty() == step.image.is_none() {
                let has = if step.image.is_some() {
                    "both `sql` and `image`"
                } else {
                    "neither `sql` nor `image`"
                };
                let help = "a step either runs SQL files or a container";
                self.add(
                    &at,
                    format!("step `{}` has {has}", step.name),
                    "one of `sql` and `image`",
                    help,
                );
            }
            if step.image.is_none() && !(step.command.is_empty() && step.env.is_empty()) {
                let wrong = format!(
                    "step `{}` runs no container that `command` and `env` could be for",
                    step.name
                );
                self.add(
                    &at,
                    wrong,
                    "`image` with `command` or `env`",
                    "add `image`, or take them out",
                );
            }
            for (index, pattern) in step.sql.iter().enumerate() {
                let (folder, last) = pattern.rsplit_once('/').unwrap_or(("", pattern));
                if last.is_empty() || folder.contains('*') {
                    let wrong = format!("`{pattern}` names no SQL files");
                    let help = "a `*` may stand in the part after the last `/` only";
                    self.add(
                        &format!("{at}.sql.{index}"),
                        wrong,
                        "a file, or a pattern of files",
                        help,
                    );
                }
            }
        }
    }

    pub(super) fn services(&mut self) {
        for (role, service) in &self.topology.services {
            self.plain_role("services", role);
            let at = format!("services.{role}");
            if RESERVED.contains(&role.as_str()) {
                let wrong = format!("`{role}` cannot be the role of a service");
                self.add_key(
                    &at,
                    wrong,
                    "another role",
                    "an override of images means something else by it",
                );
            }
            self.text(&format!("{at}.image"), &service.image);
            if let Some(queue) = &service.consumes {
                self.queue(&format!("{at}.consumes"), queue);
            }
            for (index, route) in service.produces.iter().enumerate() {
                self.route(&format!("{at}.produces.{index}"), route);
            }
            self.at_least_one(&format!("{at}.port"), service.port.into());
            self.at_least_one(&format!("{at}.prefetch"), service.prefetch.into());
            self.at_least_one(&format!("{at}.concurrency"), service.concurrency.into());
            self.at_least_one(&format!("{at}.instances"), service.instances.into());
            if service.concurrency > service.prefetch {
                let wrong = format!(
                    "concurrency {} is above prefetch {}",
                    service.concurrency, service.prefetch
                );
                let expected = format!("at most {}", service.prefetch);
                let help = "no more deliveries can be worked on than the broker hands out";
                self.add(&format!("{at}.concurrency"), wrong, &expected, help);
            }
            self.path(&format!("{at}.health.path"), &service.health.path);
            if !(100..=599).contains(&service.health.status) {
                let wrong = format!("{} is not a status of HTTP", service.health.status);
                self.add(
                    &format!("{at}.health.status"),
                    wrong,
                    "a number from 100 to 599",
                    "write for example 200",
                );
            }
            if let Some(pointer) = &service.health.broker {
                self.pointer(&format!("{at}.health.broker"), pointer);
            }
            if let Some(path) = &service.version {
                self.path(&format!("{at}.version"), path);
            }
            for (index, other) in service.start_after.iter().enumerate() {
                self.service(&format!("{at}.start_after.{index}"), other);
            }
        }
    }

    pub(super) fn upstreams(&mut self) {
        for (name, upstream) in &self.topology.upstreams {
            let at = format!("upstreams.{name}");
            self.service(&format!("{at}.service"), &upstream.service);
            if let Some(pointer) = &upstream.key {
                self.pointer(&format!("{at}.key"), pointer);
            }
        }
    }

    /// Services that wait for each other would never start. One circle is reported, by its first service.
    pub(super) fn start_order(&mut self) {
        let services = &self.topology.services;
        let mut waiting: BTreeMap<&Name, &Service> = services.iter().collect();
        let blocker = |waiting: &BTreeMap<&Name, &Service>, role: &Name| {
            services[role]
                .start_after
                .iter()
                .find(|other| waiting.contains_key(other))
                .cloned()
        };
        while let Some(free) = waiting
            .keys()
            .find(|role| blocker(&waiting, role).is_none())
            .copied()
        {
            waiting.remove(free);
        }
        // Whoever still waits is in a circle or behind one: as many steps as there are services lead into it.
        let Some(mut role) = waiting.keys().next().map(|role| Name::clone(role)) else {
            return;
        };
        let mut seen: Vec<Name> = Vec::new();
        while !seen.contains(&role) {
            seen.push(role.clone());
            role = blocker(&waiting, &role).expect("a service that still waits has somebody to wait for");
        }
        seen.drain(..seen.iter().position(|other| *other == role).unwrap_or(0));
        seen.push(role.clone());
        let circle: Vec<_> = seen.iter().map(|role| format!("`{role}`")).collect();
        let wrong = format!("services wait for each other: {}", circle.join(" after "));
        self.add(
            &format!("services.{role}.start_after"),
            wrong,
            "an order without a circle",
            "take one of them out",
        );
    }

    pub(super) fn templates(&mut self) {
        let nowhere = Address::default();
        for (role, service) in &self.topology.services {
            let values = Values::new(self.topology, Some(service), &nowhere, &nowhere);
            for (name, template) in self
                .topology
                .env
                .iter()
                .filter(|(name, _)| !service.env.contains_key(*name))
            {
                self.template(&format!("env.{name}"), template, &values, Some(role));
            }
            for (name, template) in &service.env {
                self.template(
                    &format!("services.{role}.env.{name}"),
                    template,
                    &values,
                    Some(role),
                );
            }
        }
        for (name, upstream) in &self.topology.upstreams {
            let service = self.topology.services.get(&upstream.service);
            let mut values = Values::new(self.topology, service, &nowhere, &nowhere);
            values.set("upstream.url", &"");
            for (variable, template) in &upstream.env {
                let at = format!("upstreams.{name}.env.{variable}");
                self.template(&at, template, &values, None);
            }
        }
        let values = Values::new(self.topology, None, &nowhere, &nowhere);
        for (index, step) in self.topology.steps.iter().enumerate() {
            for (name, template) in &step.env {
                self.template(&format!("steps.{index}.env.{name}"), template, &values, None);
            }
        }
    }

    pub(super) fn template(&mut self, at: &str, template: &str, values: &Values, service: Option<&Name>) {
        match (
            Template::parse(template).and_then(|parsed| parsed.fill(values)),
            service,
        ) {
            (Ok(_), _) => {}
            (Err(TemplateError::Unknown(name)), Some(role)) if name == "queue" => {
                if self.topology.services[role].consumes.is_some() {
                    return; // an unknown queue: it has been reported as such
                }
                let wrong = format!("service `{role}` consumes no queue");
                self.add(
                    at,
                    wrong,
                    "no `{queue}` for this service",
                    "add `consumes`, or take `{queue}` out",
                );
            }
            (Err(TemplateError::Unknown(name)), _) => {
                let known: Vec<_> = values.names().collect();
                let help = format!("{} (a literal brace is written twice)", suggest(&name, &known));
                self.add(
                    at,
                    TemplateError::Unknown(name).to_string(),
                    "a known placeholder",
                    &help,
                );
            }
            (Err(error), _) => {
                let help = "a literal brace is written twice: `{{` or `}}`";
                self.add(at, error.to_string(), "placeholders in braces", help);
            }
        }
    }
}
