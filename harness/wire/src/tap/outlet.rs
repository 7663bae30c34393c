//! Where the bytes of one direction go.

use std::io::ErrorKind;
use std::net::Shutdown;

use harness_model::event::Side;
use harness_model::fault::Cut;
use socket2::SockRef;
use tokio::net::tcp::WriteHalf;
use tokio::sync::watch;

use super::connection::End;

/// Towards whom no byte passes on a link.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Frozen {
    client: bool,
    server: bool,
}

impl Frozen {
    /// Adds what a cut stops.
    pub(super) fn add(&mut self, cut: Cut) {
        self.client |= cut.stops(Side::Client);
        self.server |= cut.stops(Side::Server);
    }

    pub(super) fn towards(self, side: Side) -> bool {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
            Side::Tap => false,
        }
    }
}

/// A socket that is written to unless its tap is frozen towards it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlet<'a> {
    pub(super) to: &'a WriteHalf<'a>,
    pub(super) frozen: &'a watch::Receiver<Frozen>,
    /// Whose socket it is.
    pub(super) side: Side,
}

/// Resolves as soon as bytes may pass towards these sides.
pub(super) async fn thaw(frozen: &watch::Receiver<Frozen>, towards: &[Side]) {
    let passes = |frozen: &Frozen| !towards.iter().any(|side| frozen.towards(*side));
    let now = passes(&frozen.borrow());
    if !now {
        // An error means that the tap is gone; then the connection is about to be dropped, too.
        drop(frozen.clone().wait_for(passes).await);
    }
}

impl Outlet<'_> {
    /// Writes as much of `out` as fits into the socket's buffer, frozen or not, and takes that away.
    pub(super) fn write_some(&self, out: &mut Vec<u8>) -> Result<(), End> {
        let mut written = 0;
        while written < out.len() {
            match self.to.try_write(&out[written..]) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return Err(End::Reset(self.side)),
            }
        }
        out.drain(..written);
        Ok(())
    }

    /// Writes all of `out`, once it may.
    pub(super) async fn write(&self, out: &mut Vec<u8>) -> Result<(), End> {
        while !out.is_empty() {
            let frozen = {
                let frozen = self.frozen.borrow();
                let frozen_here = frozen.towards(self.side);
                if !frozen_here {
                    self.write_some(out)?;
                }
                frozen_here
            };
            if frozen {
                thaw(self.frozen, &[self.side]).await;
            } else if !out.is_empty() {
                self.writable().await;
            }
        }
        Ok(())
    }

    /// Resolves when it is worth while to try again.
    pub(super) async fn writable(&self) {
        // Whether it is writable is found out by writing.
        drop(self.to.writable().await);
    }

    /// Ends the stream.
    pub(super) fn shutdown(&self) -> Result<(), End> {
        SockRef::from(self.to.as_ref())
            .shutdown(Shutdown::Write)
            .map_err(|_| End::Reset(self.side))
    }
}
