//! What a sweep changes about a trial besides its seed: the conditions that it runs under, axis by axis.
//!
//! None of it is a fault: a pipeline has to keep all its promises under every perturbation, so no rule makes room for
//! them. A perturbation is drawn from a seed, stored with its trial, and given again when the trial is reproduced.

use std::fmt;

use rand_chacha::rand_core::Rng as _;
use serde::{Deserialize, Serialize};

use crate::seed::Seed;

/// Something that can be varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// The trial's seed: workload, and whatever the schedule draws.
    Seed,
    /// Every link of every service is late.
    Latency,
    /// Services get a part of a processor only.
    Cpu,
    /// Services get little memory.
    Memory,
    /// One service stands still for a moment, at a step of its own.
    Pause,
    /// Services start one after the other, in an order that is drawn.
    StartOrder,
    /// Reports are injected in another order.
    MessageOrder,
    /// Every fault is late: it is done some time after its trigger has fired.
    FaultOffset,
    /// Others keep processors busy meanwhile.
    Neighbours,
}

impl Axis {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Seed,
        Self::Latency,
        Self::Cpu,
        Self::Memory,
        Self::Pause,
        Self::StartOrder,
        Self::MessageOrder,
        Self::FaultOffset,
        Self::Neighbours,
    ];

    /// Its name on the command line and in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Latency => "latency",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Pause => "pause",
            Self::StartOrder => "start-order",
            Self::MessageOrder => "message-order",
            Self::FaultOffset => "fault-offset",
            Self::Neighbours => "neighbours",
        }
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A service stands still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Which service: this number modulo the number of services, in the order of their names.
    pub service: u32,
    /// At which of the deliveries to it, counted from 1. If there are fewer, it does not stand still.
    pub delivery: u64,
    /// For how long, in milliseconds.
    pub ms: u32,
}

/// The conditions of a trial.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Perturbation {
    /// So many milliseconds are added to every chunk of bytes on the services' links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u32>,
    /// Each service gets so many thousandths of a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_thousandths: Option<u32>,
    /// Each service gets so many MiB of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// One service stands still for a moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Services start one after the other, in the order that this seed gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_order: Option<Seed>,
    /// Reports are injected in the order that this seed gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_order: Option<Seed>,
    /// Between a trigger that has fired and its fault so many milliseconds pass. What the trigger holds stays where it is,
    /// the others go on: the fault meets them at other steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault_offset_ms: Option<u32>,
    /// So many threads that are not the trial's keep processors busy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<u32>,
}

/// A length from `from` to `from` times `factor`, log-uniform, so that short ones are as frequent as long ones; `part` is
/// uniform from 0 to 1.
fn log_uniform(from: f64, factor: f64, part: f64) -> u32 {
    (from * factor.powf(part)) as u32
}

impl Perturbation {
    /// Draws one: each of `axes` is on in half of all draws, independently of the others. [`Axis::Seed`] is not part of a
    /// perturbation, it is the trial's seed.
    pub fn draw(axes: &[Axis], seed: Seed) -> Self {
        let mut drawn = Self::default();
        for axis in axes {
            let mut stream = seed.stream(axis.word());
            if stream.next_u32().is_multiple_of(2) {
                continue;
            }
            let mut below = |end: u32| stream.next_u32() % end;
            match axis {
                Axis::Seed => {}
                Axis::Latency => drawn.latency_ms = Some(1 + below(20)),
                Axis::Cpu => drawn.cpu_thousandths = Some(200 + below(600)),
                Axis::Memory => drawn.memory_mib = Some(64 + below(128)),
                Axis::Pause => {
                    let part = f64::from(below(1 << 20)) / f64::from(1 << 20);
                    drawn.pause = Some(Pause {
                        service: below(1 << 16),
                        delivery: u64::from(1 + below(30)),
                        ms: log_uniform(20.0, 100.0, part),
                    });
                }
                Axis::FaultOffset => {
                    let part = f64::from(below(1 << 20)) / f64::from(1 << 20);
                    drawn.fault_offset_ms = Some(log_uniform(2.0, 150.0, part));
                }
                Axis::Neighbours => drawn.neighbours = Some(1 + below(2)),
                Axis::StartOrder => drawn.start_order = Some(seed.derive("start-order")),
                Axis::MessageOrder => drawn.message_order = Some(seed.derive("message-order")),
            }
        }
        drawn
    }

    /// Nothing is changed.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The axes that it is about.
    pub fn axes(&self) -> Vec<Axis> {
        let on = |axis: &Axis| self.without(*axis) != *self;
        Axis::ALL.into_iter().filter(on).collect()
    }

    /// The same without one axis.
    #[must_use]
    pub fn without(&self, axis: Axis) -> Self {
        let mut other = self.clone();
        match axis {
            Axis::Seed => {}
            Axis::Latency => other.latency_ms = None,
            Axis::Cpu => other.cpu_thousandths = None,
            Axis::Memory => other.memory_mib = None,
            Axis::Pause => other.pause = None,
            Axis::StartOrder => other.start_order = None,
            Axis::MessageOrder => other.message_order = None,
            Axis::FaultOffset => other.fault_offset_ms = None,
            Axis::Neighbours => other.neighbours = None,
        }
        other
    }
}

impl fmt::Display for Perturbation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        let mut say = |word: Option<String>| words.extend(word);
        say(self.latency_ms.map(|ms| format!("latency {ms} ms")));
        say(self
            .cpu_thousandths
            .map(|part| format!("cpu {:.1}", f64::from(part) / 1000.0)));
        say(self.memory_mib.map(|mib| format!("memory {mib} MiB")));
        say(self
            .pause
            .as_ref()
            .map(|pause| format!("pause of {} ms", pause.ms)));
        say(self.start_order.map(|_| "start order".to_owned()));
        say(self.message_order.map(|_| "message order".to_owned()));
        say(self.fault_offset_ms.map(|ms| format!("faults {ms} ms late")));
        say(self
            .neighbours
            .map(|threads| format!("{threads} busy neighbours")));
        f.write_str(&if words.is_empty() {
            "as it is".to_owned()
        } else {
            words.join(", ")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Axis, Perturbation};
    use crate::seed::Seed;

    #[test]
    fn an_axis_that_is_not_asked_for_is_left_alone_and_the_others_are_on_half_the_time() {
        let axes = [Axis::Latency, Axis::Pause];
        let drawn: Vec<_> = (0..400).map(|n| Perturbation::draw(&axes, Seed(n))).collect();
        let on = |axis| drawn.iter().filter(|drawn| drawn.axes().contains(&axis)).count();
        assert!((160..240).contains(&on(Axis::Latency)), "{}", on(Axis::Latency));
        assert!((160..240).contains(&on(Axis::Pause)));
        assert_eq!(on(Axis::Cpu), 0);
        assert_eq!(
            drawn[7],
            Perturbation::draw(&axes, Seed(7)),
            "drawn by the seed alone"
        );
        // Adding an axis changes nothing about the others.
        let more = Perturbation::draw(&[Axis::Cpu, Axis::Latency, Axis::Pause], Seed(7));
        assert_eq!(more.without(Axis::Cpu), drawn[7]);
        let pauses = drawn.iter().filter_map(|drawn| drawn.pause.as_ref());
        assert!(pauses.clone().all(|pause| (20..=2000).contains(&pause.ms)));
        assert!(
            pauses.clone().filter(|pause| pause.ms < 200).count() > 70,
            "log-uniform"
        );
    }

    #[test]
    fn what_is_stored_is_what_was_drawn() {
        let drawn = Perturbation::draw(&Axis::ALL, Seed(11));
        let text = serde_json::to_string(&drawn).unwrap();
        assert_eq!(serde_json::from_str::<Perturbation>(&text).unwrap(), drawn);
        assert!(
            drawn
                .axes()
                .iter()
                .fold(drawn, |left, axis| left.without(*axis))
                .is_none()
        );
    }
}
