//! What is under way in one direction of a link that is shaped: recorded, and not delivered yet.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use super::connection::End;
use super::outlet::Outlet;
use super::shape::{Active, Shaper, View};
use crate::clock::Clock;
use crate::recorder::delay;

/// So many bytes may be under way; as long as there are more, nothing is read.
const WINDOW: usize = 256 * 1024;

/// A delay line: pieces come out in the order in which they went in, each when it is due.
///
/// Both ends of it are parts of one future, which polls first the one that takes and then [`Line::deliver`]. So neither
/// end has to wake the other, and a line that is not used costs next to nothing.
#[derive(Debug)]
pub(super) struct Line {
    queue: Mutex<Queue>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

#[derive(Debug)]
struct Piece {
    bytes: Vec<u8>,
    /// In nanoseconds of the line's clock.
    due: u64,
    /// What it is subject to.
    shape: Option<Arc<Active>>,
    /// It is late, or cut out of a larger one.
    shaped: bool,
}

fn ready_if(condition: bool) -> Poll<()> {
    if condition { Poll::Ready(()) } else { Poll::Pending }
}

impl Queue {
    /// The first piece, of this length, has been delivered.
    fn leave(&mut self, length: usize) {
        self.pieces.pop_front();
        self.bytes -= length;
    }
}

impl Line {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            queue: Mutex::default(),
            clock,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lock().pieces.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.lock().bytes >= WINDOW
    }

    /// Takes a chunk. Without a shaper it is due at once, behind what is under way.
    pub(super) fn enter(&self, chunk: &[u8], shaper: Option<&mut Shaper>) {
        let now = self.clock.nanos();
        let mut queue = self.lock();
        let mut rest = chunk;
        let (plan, shape) = match shaper {
            Some(shaper) => (shaper.plan(now, chunk.len()), Some(Arc::clone(shaper.active()))),
            None => (vec![(chunk.len(), now)], None),
        };
        for (length, due) in plan {
            let (bytes, behind) = rest.split_at(length);
            rest = behind;
            queue.bytes += length;
            queue.pieces.push_back(Piece {
                bytes: bytes.to_vec(),
                due,
                shape: shape.clone(),
                shaped: due > now || length < chunk.len(),
            });
        }
    }

    /// Resolves when there is room for more. Safe to cancel.
    pub(super) async fn room(&self) {
        self.below(WINDOW).await;
    }

    /// Resolves when everything has been delivered. Safe to cancel.
    pub(super) async fn empty(&self) {
        self.below(1).await;
    }

    async fn below(&self, bytes: usize) {
        poll_fn(|_| ready_if(self.lock().bytes < bytes)).await;
    }

    /// Delivers for as long as the connection lasts.
    ///
    /// # Errors
    /// Always, in the end: why the connection is over.
    pub(super) async fn deliver(&self, outlet: Outlet<'_>, shapes: &View) -> End {
        loop {
            // It stays in the queue until it is delivered, so that nothing overtakes it.
            let front = self.lock().pieces.front_mut().map(|piece| Piece {
                bytes: std::mem::take(&mut piece.bytes),
                shape: piece.shape.clone(),
                ..*piece
            });
            let Some(Piece {
                mut bytes,
                due,
                shape,
                shaped,
            }) = front
            else {
                poll_fn(|_| ready_if(!self.is_empty())).await;
                continue;
            };
            let length = bytes.len();
            if let Some(shape) = &shape {
                self.until(due, shape, shapes).await;
                if shaped {
                    shape.sent_on();
                }
            }
            if let Err(end) = outlet.write(&mut bytes).await {
                return end;
            }
            self.lock().leave(length);
            // Whoever receives it has a chance to before the next one is there, and the other end of the line looks again.
            tokio::task::yield_now().await;
        }
    }

    /// Resolves when a piece is due, or not shaped any more.
    async fn until(&self, due: u64, shape: &Arc<Active>, shapes: &View) {
        let now = self.clock.nanos();
        if due > now {
            tokio::select! {
                biased;
                () = shapes.end(shape) => {}
                () = delay(Duration::from_nanos(due - now)) => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
