//! One direction of a connection: read, decode, record, and only then forward.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use harness_model::event::{Ending, Fate, Side, Step};
use tokio::io::{AsyncRead, Interest, ReadBuf};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;

use super::TapSpec;
use super::connection::End;
use super::line::Line;
use super::outlet::{Frozen, Outlet, thaw};
use super::shape::{Shaper, View};
use crate::clock::Clock;
use crate::codec::{Codec, Direction, Unit};
use crate::recorder::{Hold, Link, Verdict};

/// Size of a read.
const CHUNK: usize = 64 * 1024;
/// A larger buffer is given back after use.
const KEEP: usize = 1024 * 1024;

/// What the two directions of a connection share. Both run in one task, so the codec and the ledger see the same order.
pub(super) struct Pipe<'a> {
    spec: &'a TapSpec,
    link: &'a Link,
    frozen: watch::Receiver<Frozen>,
    shapes: View,
    codec: Mutex<Box<dyn Codec>>,
    /// Whether the codec has given up, so that bytes pass unread.
    opaque: AtomicBool,
    client_ended: watch::Sender<bool>,
    server_ended: watch::Sender<bool>,
}

/// One direction.
pub(super) struct Lane<'a, 'c> {
    pipe: &'a Pipe<'a>,
    direction: Direction,
    from: &'a mut ReadHalf<'c>,
    outlet: Outlet<'a>,
    shapes: View,
    shaper: Option<Shaper>,
    line: Arc<Line>,
    units: Vec<Unit>,
    /// Bytes that are recorded and may be written.
    out: Vec<u8>,
    /// Bytes of a reordered unit: they follow the next unit.
    late: Vec<u8>,
    /// The request that was taken out of the stream: what is still to come of it is not forwarded either.
    taken: Option<u64>,
    /// Nothing of this direction is left in the codec.
    raw: bool,
}

async fn set(flag: &watch::Sender<bool>) {
    // The sender outlives the call, so this cannot fail.
    drop(flag.subscribe().wait_for(|set| *set).await);
}

impl<'a> Pipe<'a> {
    pub(super) fn new(
        spec: &'a TapSpec,
        link: &'a Link,
        frozen: watch::Receiver<Frozen>,
        shapes: View,
    ) -> Self {
        Self {
            spec,
            link,
            frozen,
            shapes,
            codec: Mutex::new((spec.codec)()),
            opaque: AtomicBool::new(false),
            client_ended: watch::Sender::new(false),
            server_ended: watch::Sender::new(false),
        }
    }

    pub(super) fn lane<'c>(
        &'a self,
        direction: Direction,
        from: &'a mut ReadHalf<'c>,
        to: &'a WriteHalf<'c>,
    ) -> Lane<'a, 'c> {
        let (units, out, late) = Default::default();
        Lane {
            pipe: self,
            direction,
            from,
            outlet: Outlet {
                to,
                frozen: &self.frozen,
                side: match direction {
                    Direction::ToServer => Side::Server,
                    Direction::ToClient => Side::Client,
                },
            },
            shapes: self.shapes.clone(),
            shaper: None,
            line: Arc::new(Line::new(Clock::monotonic())),
            units,
            out,
            late,
            taken: None,
            raw: false,
        }
    }

    fn codec(&self) -> MutexGuard<'_, Box<dyn Codec>> {
        self.codec.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_opaque(&self) -> bool {
        self.opaque.load(Ordering::Relaxed)
    }

    fn ended(&self, side: Side) -> &watch::Sender<bool> {
        if side == Side::Client {
            &self.client_ended
        } else {
            &self.server_ended
        }
    }
}

impl Lane<'_, '_> {
    fn source(&self) -> Side {
        match self.direction {
            Direction::ToServer => Side::Client,
            Direction::ToClient => Side::Server,
        }
    }

    /// Moves bytes until the source ends its stream, and passes that on.
    ///
    /// # Errors
    /// Why the other direction has to end, too.
    pub(super) async fn pump(mut self) -> Result<(), End> {
        let (line, outlet, shapes) = (Arc::clone(&self.line), self.outlet, self.shapes.clone());
        tokio::select! {
            biased;
            taken = self.take() => taken?,
            end = line.deliver(outlet, &shapes) => return Err(end),
        }
        outlet.shutdown()
    }

    /// Reads, decodes and records until the source ends its stream and everything has been delivered.
    async fn take(&mut self) -> Result<(), End> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let Some(read) = self.read(&mut chunk).await? else {
                self.flush_codec().await?;
                continue;
            };
            match read {
                0 => break,
                read if self.pipe.is_opaque() => {
                    self.flush_codec().await?;
                    self.out.extend_from_slice(&chunk[..read]);
                    self.write().await?;
                }
                read => self.forward(&chunk[..read]).await?,
            }
        }
        self.flush_codec().await?;
        self.out.append(&mut self.late);
        self.write().await?;
        thaw(&self.pipe.frozen, &[self.outlet.side]).await;
        let step = Step::Disconnect {
            to: self.pipe.spec.backend,
            by: self.source(),
            how: Ending::Fin,
        };
        self.pipe.spec.recorder.step(self.pipe.link, step);
        self.pipe.ended(self.source()).send_replace(true);
        self.line.empty().await;
        thaw(&self.pipe.frozen, &[self.outlet.side]).await;
        Ok(())
    }

    /// Reads what comes next. `None` if meanwhile the other direction has found out that the connection is opaque, and
    /// what the codec has kept is to be passed.
    async fn read(&mut self, chunk: &mut [u8]) -> Result<Option<usize>, End> {
        let source = self.source();
        let read = poll_fn(|context| {
            let mut buffer = ReadBuf::new(chunk);
            match Pin::new(&mut *self.from).poll_read(context, &mut buffer) {
                Poll::Ready(read) => Poll::Ready(read.map(|()| Some(buffer.filled().len()))),
                Poll::Pending if !self.raw && self.pipe.is_opaque() => Poll::Ready(Ok(None)),
                Poll::Pending => Poll::Pending,
            }
        });
        read.await.map_err(|_| End::Reset(source))
    }

    /// Forwards what the codec has kept of an incomplete unit.
    async fn flush_codec(&mut self) -> Result<(), End> {
        if !self.raw {
            let rest = self.pipe.codec().leftover(self.direction);
            self.out.extend_from_slice(&rest);
            self.raw = self.pipe.is_opaque();
        }
        self.write().await
    }

    /// Decodes, records and forwards a chunk.
    async fn forward(&mut self, chunk: &[u8]) -> Result<(), End> {
        let mut units = std::mem::take(&mut self.units);
        let decoded = self.pipe.codec().push(self.direction, chunk, &mut units);
        let mut from = 0;
        while from < units.len() {
            from += self.record(&mut units[from..]).await?;
        }
        units.clear();
        self.units = units;
        if let Err(undecodable) = decoded {
            let step = Step::Opaque {
                to: self.pipe.spec.backend,
                why: undecodable.why,
            };
            self.pipe.spec.recorder.step(self.pipe.link, step);
            self.pipe.opaque.store(true, Ordering::Relaxed);
            // The other direction is a part of the same task: it looks at this when the task goes on.
            tokio::task::yield_now().await;
            self.flush_codec().await?;
        }
        Ok(())
    }

    /// Records and forwards units up to and including the first that is treated specially; says how many.
    async fn record(&mut self, units: &mut [Unit]) -> Result<usize, End> {
        let is_taken = |unit: &&Unit| unit.request.is_some() && unit.request == self.taken;
        let taken = units.iter().take_while(is_taken).count();
        if taken > 0 {
            return Ok(taken);
        }
        thaw(&self.pipe.frozen, &[self.outlet.side]).await;
        let recorded = {
            // While this guard lives nobody can freeze the tap, so that no event is recorded whose bytes do not pass.
            let frozen = self.pipe.frozen.borrow();
            if frozen.towards(self.outlet.side) {
                return Ok(0);
            }
            let recorded = self.pipe.spec.recorder.record(self.pipe.link, units);
            let passed = match recorded.verdict {
                Verdict::Pass => recorded.units,
                Verdict::Hold(_) | Verdict::Do(_) | Verdict::Refuse(_) => recorded.units - 1,
            };
            for unit in &units[..passed] {
                self.queue(&unit.bytes);
            }
            if !self.out.is_empty() {
                self.write_some()?;
            }
            recorded
        };
        self.write().await?;
        let fate = match recorded.verdict {
            Verdict::Pass => return Ok(recorded.units),
            Verdict::Do(fate) => fate,
            Verdict::Refuse(code) => {
                self.refuse(units[recorded.units - 1].request, code).await?;
                return Ok(recorded.units);
            }
            Verdict::Hold(hold) if hold.goes_first() => {
                self.queue(&units[recorded.units - 1].bytes);
                self.write().await?;
                self.unless_reset(self.line.empty()).await?;
                return match self.hold(hold).await? {
                    Fate::Cut => Err(End::Cut(harness_model::fault::Cut::Rst)),
                    _ => Ok(recorded.units),
                };
            }
            Verdict::Hold(hold) => self.hold(hold).await?,
        };
        let (recorded_units, behind) = units.split_at_mut(recorded.units);
        let unit = &recorded_units[recorded.units - 1];
        let bytes = &unit.bytes;
        match fate {
            Fate::Forwarded => self.queue(bytes),
            Fate::Duplicated => {
                self.queue(bytes);
                self.queue(bytes);
            }
            Fate::Reordered => self.late.extend_from_slice(bytes),
            Fate::Dropped => {
                self.taken = unit.request;
                self.pipe.codec().lost(self.direction, unit, behind);
            }
            Fate::Cut => return Err(End::Cut(harness_model::fault::Cut::Rst)),
        }
        self.write().await?;
        Ok(recorded.units)
    }

    /// Has a request refused. The ledger says by now that it was not forwarded: if it cannot be refused any more, its
    /// connection ends.
    async fn refuse(&mut self, request: Option<u64>, code: u16) -> Result<(), End> {
        let instead = request.and_then(|request| self.pipe.codec().refuse(request, code));
        let instead = instead.ok_or(End::Cut(harness_model::fault::Cut::Rst))?;
        self.taken = request;
        self.queue(&instead);
        self.write().await
    }

    /// Waits for the fate of a unit, as long as its connection lives.
    async fn hold(&self, mut hold: Hold) -> Result<Fate, End> {
        tokio::select! {
            biased;
            fate = hold.wait() => Ok(fate),
            _ = self.from.ready(Interest::ERROR) => Err(End::Reset(self.source())),
            () = set(self.pipe.ended(self.outlet.side)) => Err(End::Lost),
        }
    }

    /// Waits for something that may take long, unless the source resets the connection.
    async fn unless_reset(&self, something: impl Future<Output = ()>) -> Result<(), End> {
        tokio::select! {
            biased;
            () = something => Ok(()),
            _ = self.from.ready(Interest::ERROR) => Err(End::Reset(self.source())),
        }
    }

    fn queue(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.out.append(&mut self.late);
    }

    /// Writes as much as fits into the socket's buffer; on a shaped link, sends everything on its way.
    fn write_some(&mut self) -> Result<(), End> {
        let (link, side) = (self.pipe.link, self.outlet.side);
        self.shapes.update(side, &mut self.shaper, || {
            format!("connection {} to the {side:?}", link.conn)
        });
        if self.shaper.is_none() && self.line.is_empty() {
            return self.outlet.write_some(&mut self.out);
        }
        self.line.enter(&self.out, self.shaper.as_mut());
        self.out.clear();
        Ok(())
    }

    /// Writes what is queued.
    async fn write(&mut self) -> Result<(), End> {
        while !self.out.is_empty() {
            let frozen = {
                let frozen = self.pipe.frozen.borrow();
                let frozen_here = frozen.towards(self.outlet.side);
                if !frozen_here {
                    self.write_some()?;
                }
                frozen_here
            };
            if frozen {
                thaw(&self.pipe.frozen, &[self.outlet.side]).await;
            } else if !self.out.is_empty() {
                self.unless_reset(self.outlet.writable()).await?;
            }
        }
        if self.out.capacity() > KEEP {
            self.out = Vec::new();
        }
        if self.line.is_full() {
            self.unless_reset(self.line.room()).await?;
        }
        Ok(())
    }
}
