//! What a tap with its ledger on costs: throughput and latency against a direct connection; throughput also against a relay
//! that only passes bytes on, which tells what of it is the tap's and what anybody in between costs.

use harness_model::event::Backend;
use harness_model::name::Name;
use harness_runner::environment::Failure;
use harness_stack::admin::{BrokerAdmin, DatabaseAdmin};
use harness_stack::load::{self, At};
use harness_stack::pool::{Lease, Mode};
use harness_stack::{backend, secret};
use harness_wire::amqp::{self, AmqpOptions};
use harness_wire::clock::Clock;
use harness_wire::in_flight::InFlight;
use harness_wire::mysql;
use harness_wire::recorder::Recorder;
use harness_wire::tap::{Tap, TapSpec};

use super::relay::Relay;
use super::{Bound, Measure, failed, median, percentile_ms};
use crate::environment::Stack;

/// Messages or rows for one reading of the throughput.
const MESSAGES: usize = 20_000;
/// Bytes of a body.
const SIZE: usize = 1024;
/// Unconfirmed publishes, the consumers' prefetch, and the rows of one statement.
const WINDOW: usize = 256;
/// Round trips for one reading of the latency.
const ROUND_TRIPS: usize = 2_000;
/// Sessions, and transactions of each, for one reading of the database's throughput.
const SESSIONS: usize = 8;
const TRANSACTIONS: usize = 500;

/// A lease with a virtual host and a schema, and the two ways to a backend: direct, and through a tap that writes its
/// ledger to a file as in a trial.
pub(super) struct Bench {
    pub(super) direct: At,
    pub(super) tapped: At,
    relayed: At,
    pub(super) tap: Tap,
    pub(super) recorder: Recorder,
    pub(super) lease: Lease,
    folder: tempfile::TempDir,
    _relay: Relay,
}

impl Bench {
    pub(super) async fn open(stack: &Stack, which: Backend, mode: Mode) -> Result<Self, Failure> {
        let lease = stack.take(mode, "bench").await?;
        let grant = lease.grant().clone();
        let password = secret::password();
        let info = match which {
            Backend::Broker => {
                let admin = BrokerAdmin::new(&grant.broker);
                admin
                    .provision(&grant.lease, &password, &stack.topology)
                    .await
                    .map_err(|error| failed(&error))?;
                &grant.broker
            }
            Backend::Database => {
                let mut admin = DatabaseAdmin::connect(&grant.database)
                    .await
                    .map_err(|error| failed(&error))?;
                admin
                    .provision(&grant.lease, &password, &[])
                    .await
                    .map_err(|error| failed(&error))?;
                &grant.database
            }
        };
        let folder = tempfile::tempdir().map_err(|error| failed(&error))?;
        let recorder = Recorder::create(&folder.path().join("ledger.jsonl"), Clock::monotonic())
            .map_err(|error| failed(&error))?;
        let codec = match which {
            Backend::Broker => amqp::codec(
                AmqpOptions {
                    key_paths: stack.topology.messages.key.clone(),
                    retry_header: stack.topology.messages.retry_header.clone(),
                    ..AmqpOptions::default()
                },
                InFlight::new(),
            ),
            Backend::Database => mysql::codec(InFlight::new()),
        };
        let upstream = backend::address(which, info.ip);
        let tap = Tap::open(TapSpec {
            service: Name::new("load"),
            bind: grant.inside.gateway,
            backend: which,
            upstream,
            recorder: recorder.clone(),
            codec,
        })
        .map_err(|error| failed(&error))?;
        let direct = At {
            addr: upstream,
            user: grant.lease.clone(),
            password,
            name: grant.lease.clone(),
        };
        let tapped = At {
            addr: tap.addr(),
            ..direct.clone()
        };
        let relay = Relay::open(grant.inside.gateway, upstream).map_err(|error| failed(&error))?;
        let relayed = At {
            addr: relay.addr(),
            ..direct.clone()
        };
        Ok(Self {
            direct,
            tapped,
            relayed,
            tap,
            recorder,
            lease,
            folder,
            _relay: relay,
        })
    }

    pub(super) async fn close(self) -> Result<(), Failure> {
        self.tap.close().await;
        drop(self.folder);
        self.lease.release(false).await.map_err(|error| failed(&error))
    }
}

/// Both sides of a comparison, measured one after the other.
struct Pair {
    direct: f64,
    tapped: f64,
}

/// The same with a relay.
#[derive(Clone, Copy)]
struct Triple {
    direct: f64,
    tapped: f64,
    relayed: f64,
}

fn ratio(name: &'static str, triples: &[Triple], unit_beside: &str) -> Measure {
    let ratio = |of: fn(&Triple) -> f64| median(triples.iter().map(of).collect());
    let beside = format!(
        "direct {:.0} {unit_beside}, tapped {:.0}; a bare relay / direct {:.2}, tapped / relay {:.2}; median of {}",
        ratio(|one| one.direct),
        ratio(|one| one.tapped),
        ratio(|one| one.relayed / one.direct),
        ratio(|one| one.tapped / one.relayed),
        triples.len()
    );
    Measure {
        name,
        value: ratio(|one| one.tapped / one.direct),
        unit: "ratio",
        bound: Bound::AtLeast(0.9),
        beside,
    }
}

fn added(name: &'static str, pairs: &[Pair], bound: f64) -> Measure {
    let differences = pairs.iter().map(|pair| pair.tapped - pair.direct).collect();
    let of = |side: fn(&Pair) -> f64| median(pairs.iter().map(side).collect());
    let beside = format!(
        "direct {:.3} ms, tapped {:.3} ms, median of {} pairs",
        of(|pair| pair.direct),
        of(|pair| pair.tapped),
        pairs.len()
    );
    Measure {
        name,
        value: median(differences),
        unit: "ms",
        bound: Bound::AtMost(bound),
        beside,
    }
}

/// Publish with confirms and consume with acks, then one message at a time.
pub(super) async fn amqp(stack: &Stack, runs: u32) -> Result<Vec<Measure>, Failure> {
    let bench = Bench::open(stack, Backend::Broker, Mode::Shared).await?;
    let (mut publishes, mut consumes, mut p50, mut p99) = (vec![], vec![], vec![], vec![]);
    // The first pair warms the broker up and is not counted.
    for run in 0..=runs {
        let mut rates = Vec::new();
        let mut latencies = Vec::new();
        for at in [&bench.direct, &bench.tapped, &bench.relayed] {
            load::make_queue(&bench.direct, "load", false)
                .await
                .map_err(|error| failed(&error))?;
            let published = load::publish(at, "load", MESSAGES, SIZE, WINDOW)
                .await
                .map_err(|error| failed(&error))?;
            let consumed = load::consume(at, "load", MESSAGES, WINDOW as u16)
                .await
                .map_err(|error| failed(&error))?;
            rates.push((
                MESSAGES as f64 / published.as_secs_f64(),
                MESSAGES as f64 / consumed.as_secs_f64(),
            ));
            let mut times = load::publish_one_by_one(at, "load", ROUND_TRIPS, SIZE)
                .await
                .map_err(|error| failed(&error))?;
            latencies.push((percentile_ms(&mut times, 0.5), percentile_ms(&mut times, 0.99)));
        }
        if run > 0 {
            let of = |which: fn(&(f64, f64)) -> f64| Triple {
                direct: which(&rates[0]),
                tapped: which(&rates[1]),
                relayed: which(&rates[2]),
            };
            publishes.push(of(|rates| rates.0));
            consumes.push(of(|rates| rates.1));
            p50.push(Pair {
                direct: latencies[0].0,
                tapped: latencies[1].0,
            });
            p99.push(Pair {
                direct: latencies[0].1,
                tapped: latencies[1].1,
            });
        }
    }
    bench.close().await?;
    Ok(vec![
        ratio("amqp publish throughput", &publishes, "msg/s"),
        ratio("amqp consume throughput", &consumes, "msg/s"),
        added("amqp added latency p50", &p50, 0.15),
        added("amqp added latency p99", &p99, 0.3),
    ])
}

/// Many rows with each statement and many for one, transactions on several sessions, then one read at a time.
pub(super) async fn mysql(stack: &Stack, runs: u32) -> Result<Vec<Measure>, Failure> {
    let bench = Bench::open(stack, Backend::Database, Mode::Shared).await?;
    let (mut writes, mut reads, mut sessions, mut p50, mut p99) = (vec![], vec![], vec![], vec![], vec![]);
    for run in 0..=runs {
        let mut rates = Vec::new();
        let mut latencies = Vec::new();
        for at in [&bench.direct, &bench.tapped, &bench.relayed] {
            load::make_table(&bench.direct)
                .await
                .map_err(|error| failed(&error))?;
            let written = load::insert(at, MESSAGES, SIZE, WINDOW)
                .await
                .map_err(|error| failed(&error))?;
            let read = load::select(at, MESSAGES).await.map_err(|error| failed(&error))?;
            let took = load::transactions(at, SESSIONS, TRANSACTIONS)
                .await
                .map_err(|error| failed(&error))?;
            rates.push([
                MESSAGES as f64 / written.as_secs_f64(),
                MESSAGES as f64 / read.as_secs_f64(),
                (SESSIONS * TRANSACTIONS) as f64 / took.as_secs_f64(),
            ]);
            let mut times = load::read_one_by_one(at, ROUND_TRIPS)
                .await
                .map_err(|error| failed(&error))?;
            latencies.push((percentile_ms(&mut times, 0.5), percentile_ms(&mut times, 0.99)));
        }
        if run > 0 {
            let of = |which: usize| Triple {
                direct: rates[0][which],
                tapped: rates[1][which],
                relayed: rates[2][which],
            };
            writes.push(of(0));
            reads.push(of(1));
            sessions.push(of(2));
            p50.push(Pair {
                direct: latencies[0].0,
                tapped: latencies[1].0,
            });
            p99.push(Pair {
                direct: latencies[0].1,
                tapped: latencies[1].1,
            });
        }
    }
    bench.close().await?;
    Ok(vec![
        ratio("mysql write throughput", &writes, "rows/s"),
        ratio("mysql read throughput", &reads, "rows/s"),
        ratio("mysql transactions", &sessions, "tx/s"),
        added("mysql added latency p50", &p50, 0.15),
        added("mysql added latency p99", &p99, 0.3),
    ])
}
