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
        let listener = std::net::TcpListener::bind((bind, 0))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        thread::Builder::new().name("relay".into()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = serve(listener, to) => {}
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

async fn serve(listener: std::net::TcpListener, to: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (mut client, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut server = TcpStream::connect(to).await?;
            client.set_nodelay(true)?;
            server.set_nodelay(true)?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::Relay;

    #[tokio::test]
    async fn bytes_pass_in_both_directions() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Relay::open(Ipv4Addr::LOCALHOST.into(), server.local_addr().unwrap()).unwrap();
        let mut near = TcpStream::connect(relay.addr()).await.unwrap();
        let (mut far, _) = server.accept().await.unwrap();
        let mut read = [0; 3];
        near.write_all(b"ask").await.unwrap();
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"ask");
        far.write_all(b"say").await.unwrap();
        near.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"say");
    }
}
