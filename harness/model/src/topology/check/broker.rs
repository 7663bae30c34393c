//! Exchanges, routes and queues.

use std::collections::BTreeMap;

use super::demand::Check;
use crate::topology::ExchangeKind;

impl Check<'_> {
    pub(super) fn exchanges_and_routes(&mut self) {
        for role in self.topology.exchanges.keys() {
            self.plain_role("exchanges", role);
        }
        let mut addresses = BTreeMap::new();
        for (role, route) in &self.topology.routes {
            self.plain_role("routes", role);
            let at = format!("routes.{role}");
            self.exchange(&format!("{at}.exchange"), &route.exchange);
            if let Some(other) = addresses.insert((&route.exchange, &route.key), role) {
                let wrong = format!("routes `{other}` and `{role}` are the same exchange and key");
                self.add(
                    &format!("{at}.key"),
                    wrong,
                    "one route for each exchange and key",
                    "use one of them",
                );
            }
        }
    }

    pub(super) fn queues(&mut self) {
        let (mut exchanges, mut queues, mut policies) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for (role, exchange) in &self.topology.exchanges {
            self.name(
                &mut exchanges,
                "exchange",
                &format!("exchanges.{role}.name"),
                &exchange.name,
            );
        }
        let mut consumed = self
            .topology
            .services
            .values()
            .filter_map(|service| service.consumes.as_ref());
        let all_known = consumed.all(|role| self.topology.queues.contains_key(role));
        for (role, queue) in &self.topology.queues {
            self.plain_role("queues", role);
            let at = format!("queues.{role}");
            self.name(&mut queues, "queue", &format!("{at}.name"), &queue.name);
            self.filled(&format!("{at}.bind"), &queue.bind);
            for (index, route) in queue.bind.iter().enumerate() {
                self.route(&format!("{at}.bind.{index}"), route);
            }
            if let Some(dead) = &queue.dead_letter {
                let at = format!("{at}.dead_letter");
                self.exchange(&format!("{at}.exchange"), &dead.exchange);
                if let Some(exchange) = self.topology.exchanges.get(&dead.exchange)
                    && !matches!(exchange.kind, ExchangeKind::Direct | ExchangeKind::Topic)
                {
                    let wrong = format!(
                        "exchange `{}` would not sort dead letters by their key",
                        dead.exchange
                    );
                    let help =
                        "with another kind every dead-letter queue would get the dead letters of all queues";
                    self.add(
                        &format!("{at}.exchange"),
                        wrong,
                        "a direct or topic exchange",
                        help,
                    );
                }
                self.text(&format!("{at}.key"), &dead.key);
                self.name(&mut queues, "queue", &format!("{at}.queue"), &dead.queue);
                self.name(&mut policies, "policy", &format!("{at}.policy"), &dead.policy);
            }
            if let Some(retry) = &queue.retry {
                let at = format!("{at}.retry");
                self.name(
                    &mut exchanges,
                    "exchange",
                    &format!("{at}.exchange"),
                    &retry.exchange,
                );
                self.name(&mut queues, "queue", &format!("{at}.queue"), &retry.queue);
                self.at_least_one(&format!("{at}.ttl_ms"), retry.ttl_ms);
            }
            match (queue.sink, self.topology.consumer_of(role)) {
                // A service with an unknown queue may well mean this one, and is reported itself.
                (false, None) if all_known => {
                    let help =
                        "let a service consume it, or write `sink = true` if its messages shall stay in it";
                    self.add(
                        &at,
                        format!("no service consumes queue `{role}`"),
                        "a consumer",
                        help,
                    );
                }
                (true, Some((service, _))) => {
                    let wrong = format!("queue `{role}` is a sink, but service `{service}` consumes it");
                    self.add(&format!("{at}.sink"), wrong, "no consumer", "take `sink` out");
                }
                _ => {}
            }
        }
    }
}
