//! The line of an event, written without a serializer where there are many of them.
//!
//! A tap writes a line before it sends a message on, so what a line costs is what a message waits. The steps of messages and
//! statements are written here field by field; all others, and any text that needs escaping, go through `serde_json`. The
//! bytes are the same either way, which a property test holds against it.

use serde::Serialize;

use crate::event::{Covered, Event, Message, Step, Verb};
use crate::name::{Key, Name};

/// Appends the line of `event`, with its end.
pub(super) fn write(event: &Event, out: &mut Vec<u8>) {
    let begin = out.len();
    let mut line = Line { out };
    line.head(event);
    if !line.step(&event.step) {
        out.truncate(begin);
        through_serde(event, out);
    }
    out.push(b'\n');
}

fn through_serde(value: &(impl Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("an event is plain data");
}

struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl Line<'_> {
    fn head(&mut self, event: &Event) {
        self.raw("{\"n\":").number(event.n);
        self.raw(",\"at\":").number(event.at);
        if let Some(svc) = &event.svc {
            self.raw(",\"svc\":").text(svc);
        }
        if let Some(conn) = event.conn {
            self.raw(",\"conn\":").number(u64::from(conn));
        }
        if let Some(chan) = event.chan {
            self.raw(",\"chan\":").number(u64::from(chan));
        }
    }

    /// The step and the end of the object; false if this is none of the many.
    fn step(&mut self, step: &Step) -> bool {
        match step {
            Step::Publish {
                tag,
                mandatory,
                message,
            } => {
                self.raw(",\"step\":\"publish\",\"tag\":").number(*tag);
                self.raw(",\"mandatory\":").flag(*mandatory).message(message);
            }
            Step::Confirm { ok, covers } => {
                self.raw(",\"step\":\"confirm\",\"ok\":").flag(*ok).covers(covers);
            }
            Step::Deliver {
                tag,
                consumer,
                queue,
                redelivered,
                message,
            } => {
                self.raw(",\"step\":\"deliver\",\"tag\":").number(*tag);
                self.raw(",\"consumer\":").text(consumer).queue(queue.as_ref());
                self.raw(",\"redelivered\":").flag(*redelivered).message(message);
            }
            Step::Ack { covers } => {
                self.raw(",\"step\":\"ack\"").covers(covers);
            }
            Step::Statement {
                verb,
                sql,
                prepared,
                keys,
            } => {
                self.raw(",\"step\":\"statement\",\"verb\":").verb(*verb);
                self.raw(",\"sql\":").text(sql);
                self.raw(",\"prepared\":").flag(*prepared).keys(keys);
            }
            Step::DbOk { verb, rows, in_tx } => {
                self.raw(",\"step\":\"db_ok\",\"verb\":").verb(*verb);
                self.raw(",\"rows\":").number(*rows);
                self.raw(",\"in_tx\":").flag(*in_tx);
            }
            _ => return false,
        }
        self.raw("}");
        true
    }

    fn message(&mut self, message: &Message) -> &mut Self {
        let Message {
            exchange,
            routing_key,
            key,
            size,
            hash,
            persistent,
            retry,
            death,
            body,
        } = message;
        self.raw(",\"exchange\":").text(exchange);
        self.raw(",\"routing_key\":").text(routing_key).key(key.as_ref());
        self.raw(",\"size\":").number(*size);
        self.raw(",\"hash\":").text(hash);
        self.raw(",\"persistent\":").flag(*persistent);
        if let Some(retry) = retry {
            self.raw(",\"retry\":");
            through_serde(retry, self.out);
        }
        if let Some(death) = death {
            self.raw(",\"death\":").text(death);
        }
        if let Some(body) = body {
            self.raw(",\"body\":").text(body);
        }
        self
    }

    fn covers(&mut self, covers: &[Covered]) -> &mut Self {
        self.raw(",\"covers\":[");
        for (i, covered) in covers.iter().enumerate() {
            self.raw(if i == 0 { "{\"tag\":" } else { ",{\"tag\":" });
            self.number(covered.tag).key(covered.key.as_ref());
            self.queue(covered.queue.as_ref()).raw("}");
        }
        self.raw("]")
    }

    fn keys(&mut self, keys: &[Key]) -> &mut Self {
        if keys.is_empty() {
            return self;
        }
        self.raw(",\"keys\":[");
        for (i, key) in keys.iter().enumerate() {
            self.raw(if i == 0 { "" } else { "," }).text(key);
        }
        self.raw("]")
    }

    fn key(&mut self, key: Option<&Key>) -> &mut Self {
        match key {
            Some(key) => self.raw(",\"key\":").text(key),
            None => self,
        }
    }

    fn queue(&mut self, queue: Option<&Name>) -> &mut Self {
        match queue {
            Some(queue) => self.raw(",\"queue\":").text(queue),
            None => self,
        }
    }

    fn verb(&mut self, verb: Verb) -> &mut Self {
        self.text(match verb {
            Verb::Select => "select",
            Verb::Insert => "insert",
            Verb::Update => "update",
            Verb::Delete => "delete",
            Verb::Replace => "replace",
            Verb::Begin => "begin",
            Verb::Commit => "commit",
            Verb::Rollback => "rollback",
            Verb::Set => "set",
            Verb::Ddl => "ddl",
            Verb::Ping => "ping",
            Verb::Other => "other",
        })
    }

    fn flag(&mut self, flag: bool) -> &mut Self {
        self.raw(if flag { "true" } else { "false" })
    }

    fn raw(&mut self, text: &str) -> &mut Self {
        self.out.extend_from_slice(text.as_bytes());
        self
    }

    fn number(&mut self, mut number: u64) -> &mut Self {
        // `u64::MAX` has 20 digits.
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b"0123456789"[(number % 10) as usize];
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.out.extend_from_slice(&digits[first..]);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        // JSON (RFC 8259, section 7) escapes quotation mark, backslash and U+0000 to U+001F; nothing else has to be.
        let plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
        if text.as_bytes().iter().all(plain) {
            self.raw("\"").raw(text).raw("\"")
        } else {
            through_serde(text, self.out);
            self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{through_serde, write};
    use crate::event::{Covered, Event, Message, Step, Verb};
    use proptest::option::of;
    use proptest::prelude::*;
    use proptest::sample::select;

    const VERBS: [Verb; 12] = [
        Verb::Select,
        Verb::Insert,
        Verb::Update,
        Verb::Delete,
        Verb::Replace,
        Verb::Begin,
        Verb::Commit,
        Verb::Rollback,
        Verb::Set,
        Verb::Ddl,
        Verb::Ping,
        Verb::Other,
    ];

    fn text() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z.-]{0,12}",
            ".{0,12}",
            "[\u{0}-\u{1f}\"\\\\a\u{7f}\u{fc}]{0,6}"
        ]
    }

    fn covers() -> impl Strategy<Value = Vec<Covered>> {
        let one = (any::<u64>(), of(text()), of(text())).prop_map(|(tag, key, queue)| Covered {
            tag,
            key: key.map(Into::into),
            queue: queue.map(Into::into),
        });
        proptest::collection::vec(one, 0..4)
    }

    fn message() -> impl Strategy<Value = Message> {
        let names = (text(), text(), of(text()), text());
        let more = (
            any::<u64>(),
            any::<bool>(),
            of(any::<i64>()),
            of(text()),
            of(text()),
        );
        (names, more).prop_map(
            |((exchange, routing_key, key, hash), (size, persistent, retry, death, body))| Message {
                exchange,
                routing_key,
                key: key.map(Into::into),
                size,
                hash,
                persistent,
                retry,
                death,
                body,
            },
        )
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (any::<u64>(), any::<bool>(), message()).prop_map(|(tag, mandatory, message)| Step::Publish {
                tag,
                mandatory,
                message
            }),
            (any::<bool>(), covers()).prop_map(|(ok, covers)| Step::Confirm { ok, covers }),
            (any::<u64>(), text(), of(text()), any::<bool>(), message()).prop_map(
                |(tag, consumer, queue, redelivered, message)| Step::Deliver {
                    tag,
                    consumer: consumer.into(),
                    queue: queue.map(Into::into),
                    redelivered,
                    message,
                }
            ),
            covers().prop_map(|covers| Step::Ack { covers }),
            (
                select(&VERBS[..]),
                text(),
                any::<bool>(),
                proptest::collection::vec(text(), 0..3)
            )
                .prop_map(|(verb, sql, prepared, keys)| Step::Statement {
                    verb,
                    sql,
                    prepared,
                    keys: keys.into_iter().map(Into::into).collect(),
                }),
            (select(&VERBS[..]), any::<u64>(), any::<bool>()).prop_map(|(verb, rows, in_tx)| Step::DbOk {
                verb,
                rows,
                in_tx
            }),
            text().prop_map(|text| Step::Note { text }),
            Just(Step::ChannelOpened),
        ]
    }

    proptest! {
        #[test]
        fn a_line_is_what_the_serializer_makes_of_the_event(
            n in any::<u64>(), at in any::<u64>(), svc in of(text()), conn in of(any::<u32>()), chan in of(any::<u16>()),
            step in step(),
        ) {
            let event = Event { n, at, svc: svc.map(Into::into), conn, chan, step };
            let (mut line, mut expected) = (Vec::new(), Vec::new());
            write(&event, &mut line);
            through_serde(&event, &mut expected);
            expected.push(b'\n');
            prop_assert_eq!(String::from_utf8(line), String::from_utf8(expected));
        }
    }
}
