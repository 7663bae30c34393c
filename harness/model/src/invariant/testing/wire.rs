//! What goes over the wire.

use crate::event::{Backend, Covered, Ending, Message, Side, Step, Verb};
use crate::name::{Key, Name};

use super::{Trial, hash};

impl Trial {
    fn publish_step(&mut self, exchange: &str, routing_key: &str, key: Key, retry: Option<i64>) -> Step {
        self.tags += 1;
        Step::Publish {
            tag: self.tags,
            mandatory: true,
            message: Message {
                exchange: exchange.into(),
                routing_key: routing_key.into(),
                hash: hash(&key),
                key: Some(key),
                size: 9,
                persistent: true,
                retry,
                death: None,
                body: None,
            },
        }
    }

    /// The harness publishes to the raw route; not confirmed.
    pub(in crate::invariant) fn publish(&mut self, key: impl Into<Key>) -> u64 {
        let step = self.publish_step("cleanapp", "report.raw", key.into(), None);
        self.on("harness", step)
    }

    /// The harness publishes to the raw route, confirmed.
    pub(in crate::invariant) fn inject(&mut self, key: impl Into<Key>) -> u64 {
        let publish = self.publish(key);
        self.confirm(publish);
        publish
    }

    /// The analyzer publishes the event of a report; not confirmed.
    pub(in crate::invariant) fn announce(&mut self, seq: u64) -> u64 {
        let mut step = self.publish_step("cleanapp", "report.analysed", seq.into(), None);
        if let Step::Publish { message, .. } = &mut step {
            message.body = Some(self.event_body(seq).to_string());
        }
        self.on("analyzer", step)
    }

    /// A service publishes for a retry, to the retry exchange of `queue`, confirmed.
    pub(in crate::invariant) fn retry(
        &mut self,
        svc: &str,
        queue: &str,
        key: impl Into<Key>,
        count: i64,
    ) -> u64 {
        let publish = self.retry_unconfirmed(svc, queue, key, count);
        self.confirm(publish);
        publish
    }

    /// The same, not confirmed.
    pub(in crate::invariant) fn retry_unconfirmed(
        &mut self,
        svc: &str,
        queue: &str,
        key: impl Into<Key>,
        count: i64,
    ) -> u64 {
        let exchange = self.plan.topology.queues[queue]
            .retry
            .as_ref()
            .unwrap()
            .exchange
            .to_string();
        let step = self.publish_step(&exchange, "report.raw", key.into(), Some(count));
        self.on(svc, step)
    }

    /// Confirms a publish. Whoever hears that the event of a report is safe notes the time of its publication.
    pub(in crate::invariant) fn confirm(&mut self, publish: u64) -> u64 {
        let event = &self.events[usize::try_from(publish).unwrap() - 1];
        let Step::Publish { tag, message, .. } = &event.step else {
            panic!("#{publish} is no publish")
        };
        if message.routing_key == "report.analysed" && event.svc.as_deref() != Some("harness") {
            self.end.published.extend(message.key.as_ref().and_then(Key::seq));
        }
        let covers = vec![Covered {
            tag: *tag,
            key: message.key.clone(),
            queue: None,
        }];
        let (svc, conn) = (event.svc.clone().unwrap(), event.conn);
        self.push(Some(&svc), conn, Some(1), Step::Confirm { ok: true, covers })
    }

    /// The broker gives a publish back as unroutable, and then confirms it.
    pub(in crate::invariant) fn give_back(&mut self, publish: u64) -> u64 {
        let event = &self.events[usize::try_from(publish).unwrap() - 1];
        let Step::Publish { message, .. } = &event.step else {
            panic!("#{publish} is no publish")
        };
        let step = Step::Return {
            code: 312,
            text: "NO_ROUTE".into(),
            message: message.clone(),
        };
        let svc = event.svc.clone().unwrap();
        let n = self.on(&svc, step);
        self.confirm(publish);
        n
    }

    /// Delivers to the consumer of the queue with this role.
    pub(in crate::invariant) fn deliver(&mut self, queue: &str, key: impl Into<Key>) -> u64 {
        self.deliver_retry(queue, key, None)
    }

    /// The same, on another channel.
    pub(in crate::invariant) fn deliver_on(&mut self, chan: u16, queue: &str, key: impl Into<Key>) -> u64 {
        let n = self.deliver(queue, key);
        self.move_to(n, chan);
        n
    }

    /// The same, with a retry counter.
    pub(in crate::invariant) fn deliver_retry(
        &mut self,
        queue: &str,
        key: impl Into<Key>,
        retry: Option<i64>,
    ) -> u64 {
        let key = key.into();
        let topology = &self.plan.topology;
        let svc = topology.consumer_of(queue).unwrap().0.clone();
        let name = topology.queues[queue].name.clone();
        self.tags += 1;
        let message = Message {
            hash: hash(&key),
            key: Some(key),
            persistent: true,
            retry,
            size: 9,
            ..Message::default()
        };
        let step = Step::Deliver {
            tag: self.tags,
            consumer: "c".into(),
            queue: Some(name),
            redelivered: false,
            message,
        };
        self.on(&svc, step)
    }

    fn covered(&self, delivery: u64) -> (Name, Option<u32>, Covered) {
        let event = &self.events[usize::try_from(delivery).unwrap() - 1];
        let Step::Deliver {
            tag, queue, message, ..
        } = &event.step
        else {
            panic!("#{delivery} is no delivery")
        };
        let covered = Covered {
            tag: *tag,
            key: message.key.clone(),
            queue: queue.clone(),
        };
        (event.svc.clone().unwrap(), event.conn, covered)
    }

    pub(in crate::invariant) fn ack(&mut self, delivery: u64) -> u64 {
        self.ack_all(&[delivery])
    }

    /// One `basic.ack` for several deliveries.
    pub(in crate::invariant) fn ack_all(&mut self, deliveries: &[u64]) -> u64 {
        let (svc, conn, _) = self.covered(deliveries[0]);
        let covers = deliveries
            .iter()
            .map(|delivery| self.covered(*delivery).2)
            .collect();
        self.push(Some(&svc), conn, Some(1), Step::Ack { covers })
    }

    pub(in crate::invariant) fn nack(&mut self, delivery: u64, requeue: bool) -> u64 {
        let (svc, conn, covered) = self.covered(delivery);
        self.push(
            Some(&svc),
            conn,
            Some(1),
            Step::Nack {
                requeue,
                covers: vec![covered],
            },
        )
    }

    /// One statement and its answer.
    pub(in crate::invariant) fn query(&mut self, svc: &str, verb: Verb, keys: &[u64], in_tx: bool) -> u64 {
        let keys = keys.iter().map(|seq| Key::from(*seq)).collect();
        self.db(
            svc,
            Step::Statement {
                verb,
                sql: format!("{verb:?} .."),
                prepared: true,
                keys,
            },
        );
        self.db(svc, Step::DbOk { verb, rows: 1, in_tx })
    }

    /// A transaction that writes something of a report.
    pub(in crate::invariant) fn write(&mut self, svc: &str, seq: u64) -> u64 {
        self.query(svc, Verb::Begin, &[], true);
        self.query(svc, Verb::Insert, &[seq], true);
        self.query(svc, Verb::Commit, &[], false)
    }

    /// A service dials a backend and is turned away; the dial is the event that is given.
    pub(in crate::invariant) fn dial_in_vain(&mut self, svc: &str, to: Backend) -> u64 {
        self.connections += 1;
        let conn = Some(self.connections);
        let n = self.push(Some(svc), conn, None, Step::Connect { to });
        let (by, how) = (Side::Server, Ending::Rst);
        self.push(Some(svc), conn, None, Step::Disconnect { to, by, how });
        n
    }

    /// A fault cuts a service's link to the broker; the next thing on it is a new connection.
    pub(in crate::invariant) fn cut(&mut self, svc: &str) -> u64 {
        let n = self.on(
            svc,
            Step::Disconnect {
                to: Backend::Broker,
                by: Side::Tap,
                how: Ending::Rst,
            },
        );
        self.links.remove(&(svc.into(), Backend::Broker as u8));
        n
    }

    /// A service keeps its link to the broker, and opens another one for what comes next.
    pub(in crate::invariant) fn set_aside(&mut self, svc: &str) {
        if let Some(conn) = self.links.remove(&(svc.into(), Backend::Broker as u8)) {
            self.aside.insert(svc.into(), conn);
        }
    }

    /// The link that a service has set aside is reset.
    pub(in crate::invariant) fn lose_aside(&mut self, svc: &str) {
        let conn = self.aside.remove(svc);
        let (to, by, how) = (Backend::Broker, Side::Server, Ending::Rst);
        if conn.is_some() {
            self.push(Some(svc), conn, None, Step::Disconnect { to, by, how });
        }
    }

    /// A service ends its link to a backend without a word.
    pub(in crate::invariant) fn hang_up(&mut self, svc: &str, to: Backend) -> u64 {
        let conn = self.links.remove(&(svc.into(), to as u8));
        let (by, how) = (Side::Client, Ending::Fin);
        self.push(Some(svc), conn, None, Step::Disconnect { to, by, how })
    }

    /// A service closes the channel that it consumes on, in good order, and opens another one on the same connection.
    pub(in crate::invariant) fn reopen(&mut self, svc: &str) {
        self.on(
            svc,
            Step::ChannelClosed {
                by: Side::Client,
                code: 200,
                text: "bye".into(),
            },
        );
        self.on(svc, Step::ChannelOpened);
    }

    /// A service closes its link to the broker in good order; the next thing on it is a new connection.
    pub(in crate::invariant) fn leave(&mut self, svc: &str) -> u64 {
        let n = self.on(
            svc,
            Step::AmqpClosed {
                by: Side::Client,
                code: 200,
                text: "bye".into(),
            },
        );
        self.on(
            svc,
            Step::Disconnect {
                to: Backend::Broker,
                by: Side::Client,
                how: Ending::Fin,
            },
        );
        self.links.remove(&(svc.into(), Backend::Broker as u8));
        n
    }

    /// SIGKILL of the broker: all links to it are reset. The kill is the event that is given.
    pub(in crate::invariant) fn kill_broker(&mut self) -> u64 {
        let aside: Vec<_> = self.aside.keys().cloned().collect();
        for svc in aside {
            self.lose_aside(&svc);
        }
        let links: Vec<_> = self
            .links
            .keys()
            .filter(|(_, to)| *to == Backend::Broker as u8)
            .cloned()
            .collect();
        for (svc, _) in &links {
            self.on(
                svc,
                Step::Disconnect {
                    to: Backend::Broker,
                    by: Side::Server,
                    how: Ending::Rst,
                },
            );
        }
        self.links.retain(|(_, to), _| *to != Backend::Broker as u8);
        self.container("broker", "killed", Some(137))
    }

    pub(in crate::invariant) fn container(&mut self, name: &str, change: &str, exit: Option<i64>) -> u64 {
        self.say(Step::Container {
            name: name.into(),
            change: change.into(),
            exit,
        })
    }
}
