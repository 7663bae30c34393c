//! How badly a link carries bytes at the moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use harness_model::event::Side;
use harness_model::fault::Shape;
use harness_model::seed::Seed;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng as _;
use tokio::sync::watch;

/// Where there is a bandwidth, no piece takes longer to pass than this: bytes trickle.
const PACE: Duration = Duration::from_millis(50);

/// A link that carries bytes badly.
#[derive(Debug)]
#[must_use = "dropping it ends the shaping, and delivers at once what is under way"]
pub struct Shaping {
    active: Arc<Active>,
    shapes: Shapes,
}

/// The shapes of one tap, the latest last. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Shapes(watch::Sender<Vec<Arc<Active>>>);

/// One connection's view of them.
#[derive(Debug, Clone)]
pub(super) struct View(watch::Receiver<Vec<Arc<Active>>>);

/// A shape in force.
#[derive(Debug)]
pub(super) struct Active {
    shape: Shape,
    seed: Seed,
    shaped: AtomicU64,
}

/// Shapes one direction of one connection.
#[derive(Debug)]
pub(super) struct Shaper {
    active: Arc<Active>,
    random: ChaCha8Rng,
    /// Until when the bandwidth is taken.
    busy: u64,
}

impl Shapes {
    pub(super) fn add(&self, shape: Shape, seed: Seed) -> Shaping {
        let shaped = AtomicU64::new(0);
        let active = Arc::new(Active { shape, seed, shaped });
        self.0.send_modify(|shapes| shapes.push(Arc::clone(&active)));
        Shaping {
            active,
            shapes: self.clone(),
        }
    }

    pub(super) fn view(&self) -> View {
        let mut view = self.0.subscribe();
        // What is there already has not been looked at.
        view.mark_changed();
        View(view)
    }
}

impl Shaping {
    /// Number of pieces that it has kept waiting or cut out of larger ones, and that were sent on.
    pub fn count(&self) -> u64 {
        self.active.shaped.load(Ordering::Relaxed)
    }
}

impl Drop for Shaping {
    fn drop(&mut self) {
        self.shapes
            .0
            .send_modify(|shapes| shapes.retain(|active| !Arc::ptr_eq(active, &self.active)));
    }
}

impl View {
    /// Makes `shaper` that of the shape that counts for bytes on their way to `side`, if it is not; `stream` names the
    /// direction's random stream.
    pub(super) fn update(
        &mut self,
        side: Side,
        shaper: &mut Option<Shaper>,
        stream: impl FnOnce() -> String,
    ) {
        if !self.0.has_changed().unwrap_or(false) {
            return;
        }
        let here = |active: &&Arc<Active>| active.shape.towards.is_none_or(|towards| towards == side);
        let latest = self.0.borrow_and_update().iter().rfind(here).cloned();
        let nothing = |shape: Shape| {
            Shape {
                towards: None,
                ..shape
            } == Shape::default()
        };
        let latest = latest.filter(|active| !nothing(active.shape));
        let same = match (&latest, &*shaper) {
            (Some(latest), Some(shaper)) => Arc::ptr_eq(latest, &shaper.active),
            (None, None) => true,
            _ => false,
        };
        if !same {
            *shaper = latest.map(|active| Shaper::new(active, &stream()));
        }
    }

    /// Resolves when a shape is no longer in force. Safe to cancel.
    pub(super) async fn end(&self, active: &Arc<Active>) {
        let over = |shapes: &Vec<Arc<Active>>| !shapes.iter().any(|shape| Arc::ptr_eq(shape, active));
        // An error means that the tap is gone, and its shapes with it.
        drop(self.0.clone().wait_for(over).await);
    }
}

impl Active {
    /// A piece that was shaped is sent on.
    pub(super) fn sent_on(&self) {
        self.shaped.fetch_add(1, Ordering::Relaxed);
    }
}

impl Shaper {
    fn new(active: Arc<Active>, stream: &str) -> Self {
        Self {
            random: active.seed.stream(stream),
            active,
            busy: 0,
        }
    }

    pub(super) fn active(&self) -> &Arc<Active> {
        &self.active
    }

    /// Cuts a chunk that arrives at `now` into pieces: their lengths, and when each is due, in order. Times are in
    /// nanoseconds.
    pub(super) fn plan(&mut self, now: u64, length: usize) -> Vec<(usize, u64)> {
        let Shape {
            latency_ms,
            jitter_ms,
            bytes_per_second,
            slice,
            ..
        } = self.active.shape;
        let late = nanos(latency_ms) + self.draw(nanos(jitter_ms));
        let mut largest = length;
        if slice > 0 {
            largest = largest.min(slice as usize);
        }
        if bytes_per_second > 0 {
            let pace = u64::from(bytes_per_second) * PACE.as_millis() as u64 / 1000;
            largest = largest.min(pace.max(1) as usize);
        }
        let mut pieces = Vec::new();
        let mut rest = length;
        while rest > 0 {
            let piece = rest.min(largest);
            rest -= piece;
            let mut due = now + late;
            if bytes_per_second > 0 {
                let takes = piece as u64 * 1_000_000_000 / u64::from(bytes_per_second);
                self.busy = self.busy.max(now) + takes;
                due = self.busy + late;
            }
            pieces.push((piece, due));
        }
        pieces
    }

    /// A number from 0 to `most`.
    fn draw(&mut self, most: u64) -> u64 {
        if most == 0 {
            return 0;
        }
        let wide = u128::from(self.random.next_u64()) * (u128::from(most) + 1);
        (wide >> 64) as u64
    }
}

fn nanos(milliseconds: u32) -> u64 {
    u64::from(milliseconds) * 1_000_000
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use harness_model::event::Side;
    use harness_model::fault::Shape;
    use harness_model::seed::Seed;

    use super::{Shaper, Shapes};

    const MS: u64 = 1_000_000;

    fn shaper_of(shapes: &Shapes, stream: &str) -> Shaper {
        let mut shaper = None;
        shapes.view().update(Side::Server, &mut shaper, || stream.into());
        shaper.unwrap()
    }

    fn shaper(shape: Shape) -> Shaper {
        let shapes = Shapes::default();
        let _shaping = shapes.add(shape, Seed(7));
        shaper_of(&shapes, "1 to the server")
    }

    #[test]
    fn chunks_are_late_at_the_same_time_not_one_after_the_other() {
        let mut shaper = shaper(Shape {
            latency_ms: 100,
            ..Shape::default()
        });
        assert_eq!(shaper.plan(5, 4_000), [(4_000, 100 * MS + 5)]);
        assert_eq!(shaper.plan(6, 1), [(1, 100 * MS + 6)]);
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_comes_from_the_seed() {
        let shape = Shape {
            latency_ms: 20,
            jitter_ms: 3,
            ..Shape::default()
        };
        let draws = || {
            let mut shaper = shaper(shape);
            (0..500).map(|_| shaper.plan(0, 1)[0].1).collect::<Vec<_>>()
        };
        let drawn = draws();
        assert_eq!(drawn, draws());
        assert!(drawn.iter().all(|due| (20 * MS..=23 * MS).contains(due)));
        let thirds: BTreeSet<_> = drawn.iter().map(|due| (due - 20 * MS) / MS).collect();
        assert!([0, 1, 2].iter().all(|third| thirds.contains(third)), "{thirds:?}");
    }

    #[test]
    fn each_direction_of_each_connection_has_its_own_jitter() {
        let shapes = Shapes::default();
        let _shaping = shapes.add(
            Shape {
                jitter_ms: 1000,
                ..Shape::default()
            },
            Seed(7),
        );
        let due = |stream| shaper_of(&shapes, stream).plan(0, 1)[0].1;
        assert_ne!(due("1 to the server"), due("1 to the client"));
        assert_ne!(due("1 to the server"), due("2 to the server"));
    }

    #[test]
    fn bytes_trickle_at_the_bandwidth_and_idle_time_is_not_saved_up() {
        let mut shaper = shaper(Shape {
            bytes_per_second: 1_000,
            latency_ms: 10,
            ..Shape::default()
        });
        let late = 10 * MS;
        assert_eq!(
            shaper.plan(0, 120),
            [(50, 50 * MS + late), (50, 100 * MS + late), (20, 120 * MS + late)]
        );
        // The link is busy until then.
        assert_eq!(shaper.plan(100 * MS, 10), [(10, 130 * MS + late)]);
        assert_eq!(shaper.plan(900 * MS, 10), [(10, 910 * MS + late)]);
    }

    #[test]
    fn slices_are_no_larger_than_asked() {
        let mut shaper = shaper(Shape {
            slice: 3,
            ..Shape::default()
        });
        assert_eq!(shaper.plan(9, 7), [(3, 9), (3, 9), (1, 9)]);
        assert_eq!(shaper.plan(9, 3), [(3, 9)]);
    }

    #[test]
    fn the_latest_shape_counts_and_a_shape_of_zeros_is_none() {
        let slices = |slice| Shape {
            slice,
            ..Shape::default()
        };
        let shapes = Shapes::default();
        let (mut view, mut shaper) = (shapes.view(), None);
        let mut is = |expected: Option<usize>| {
            view.update(Side::Server, &mut shaper, String::new);
            let found = shaper.as_mut().map(|shaper| shaper.plan(0, 100)[0].0);
            assert_eq!(found, expected);
        };
        is(None);
        let one = shapes.add(slices(1), Seed(1));
        is(Some(1));
        let two = shapes.add(slices(2), Seed(1));
        is(Some(2));
        drop(two);
        is(Some(1));
        drop(one);
        is(None);
        let _zero = shapes.add(Shape::default(), Seed(1));
        is(None);
    }

    #[test]
    fn a_shape_of_one_direction_leaves_the_other_one_alone() {
        let shapes = Shapes::default();
        let one_way = Shape {
            slice: 5,
            towards: Some(Side::Server),
            ..Shape::default()
        };
        let both_ways = Shape {
            slice: 9,
            ..Shape::default()
        };
        let (_below, _above) = (shapes.add(both_ways, Seed(1)), shapes.add(one_way, Seed(1)));
        for (side, slice) in [(Side::Server, 5), (Side::Client, 9)] {
            let mut shaper = None;
            shapes.view().update(side, &mut shaper, String::new);
            assert_eq!(shaper.unwrap().plan(0, 100)[0].0, slice, "{side:?}");
        }
    }

    #[test]
    fn a_shape_below_that_goes_does_not_disturb_the_one_that_counts() {
        let shape = Shape {
            jitter_ms: 1000,
            ..Shape::default()
        };
        let shapes = Shapes::default();
        let below = shapes.add(shape, Seed(1));
        let _above = shapes.add(shape, Seed(2));
        let (mut view, mut shaper) = (shapes.view(), None);
        view.update(Side::Server, &mut shaper, String::new);
        let first = shaper.as_mut().unwrap().plan(0, 1);
        drop(below);
        view.update(Side::Server, &mut shaper, String::new);
        assert_ne!(
            shaper.unwrap().plan(0, 1),
            first,
            "the stream of random numbers goes on"
        );
    }
}
