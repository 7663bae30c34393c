//! A relay that passes bytes on and does nothing else: what it costs that there is anybody in between at all.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread;

use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// A running relay, on a thread of its own like the taps of a trial; it ends when this is dropped.
pub(super) struct Relay {
    addr: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Relay {
    /// Begins to listen at an address of this machine, and relays to `to`.
    pub(super) fn open(bind: IpAddr, to: SocketAddr) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind((bind, 0)))?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new().name("relay".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = serve(&listener, to) => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { addr, _stop: stop })
    }

    /// Where it listens.
    pub(super) fn addr(&self) -> SocketAddr {
        self.addr
    }
}

async fn serve(listener: &TcpListener, to: SocketAddr) {
    while let Ok((mut client, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut server = TcpStream::connect(to).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}
