//! Where the bytes of one direction go.

use std::io::ErrorKind;
use std::net::Shutdown;

use harness_model::event::Side;
use socket2::SockRef;
use tokio::net::tcp::WriteHalf;
use tokio::sync::watch;

use super::connection::End;

/// A socket that is written to unless its tap is frozen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlet<'a> {
    pub(super) to: &'a WriteHalf<'a>,
    pub(super) frozen: &'a watch::Receiver<bool>,
    /// Whose socket it is.
    pub(super) side: Side,
}

/// Resolves as soon as bytes may pass.
pub(super) async fn thaw(frozen: &watch::Receiver<bool>) {
    if *frozen.borrow() {
        // An error means that the tap is gone; then the connection is about to be dropped, too.
        drop(frozen.clone().wait_for(|frozen| !frozen).await);
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
                if !*frozen {
                    self.write_some(out)?;
                }
                *frozen
            };
            if frozen {
                thaw(self.frozen).await;
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
