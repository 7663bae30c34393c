//! The listening side: passes requests on to the mock server, and answers back as far as they may go.
//!
//! A mock server gives whole answers. That an answer is late, never comes or breaks off, and whether it was taken, is a
//! matter of the client's connection, so this is where it is done and seen. An answer is held here whole before its first
//! byte is passed on. HTTP/1.1 only, one request at a time on a connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::head::Head;
use super::{Asked, Exchange, Fate, MARK, State};

/// Longest time for the mock server to answer a request whose client has gone: it takes well under a millisecond, and
/// for half a request it never does.
const LATE: Duration = Duration::from_secs(1);

/// Accepts connections until it is dropped, and all connections with it.
pub(super) async fn listen(listener: TcpListener, mock: SocketAddr, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    connections.spawn(serve(client, mock, Arc::clone(&state)));
                }
                Err(error) => {
                    tracing::warn!("accept a connection to an upstream: {error}");
                    return;
                }
            },
            Some(ended) = connections.join_next() => drop(ended),
        }
    }
}

/// One connection, for as long as both sides keep it.
async fn serve(client: TcpStream, mock: SocketAddr, state: Arc<State>) -> io::Result<()> {
    let server = TcpStream::connect(mock).await?;
    let mut link = Link {
        client,
        server,
        ahead: Vec::new(),
    };
    while let Some((head, bytes)) = link.answer().await? {
        let exchange = head.mark.and_then(|id| state.take(id));
        let exchange = exchange.unwrap_or_default();
        let whole = link.give(&exchange, &head, &bytes, &state).await;
        (state.seen)(Asked {
            key: exchange.key,
            status: if whole { head.status } else { 0 },
            disturbed: exchange.disturbed,
        });
        if !whole {
            // Whatever the reason, the client cannot know where the next answer begins.
            link.client.shutdown().await?;
            break;
        }
    }
    Ok(())
}

struct Link {
    client: TcpStream,
    server: TcpStream,
    /// What the client has sent while an answer was held.
    ahead: Vec<u8>,
}

impl Link {
    /// Passes what the client sends on to the server until there is a whole answer; nothing at the end of either.
    async fn answer(&mut self) -> io::Result<Option<(Head, Vec<u8>)>> {
        let mut asking = !self.ahead.is_empty();
        self.server.write_all(&std::mem::take(&mut self.ahead)).await?;
        let mut asked = [0_u8; 8192];
        let mut bytes = Vec::new();
        loop {
            if let Some(head) = Head::read(&bytes, MARK) {
                let end = head.bytes + head.body;
                // An interim answer asks for the body of the request.
                if head.status < 200 {
                    self.client.write_all(&bytes[..end]).await?;
                    bytes.drain(..end);
                    continue;
                }
                if bytes.len() >= end {
                    bytes.truncate(end);
                    return Ok(Some((head, bytes)));
                }
            }
            tokio::select! {
                read = self.server.read_buf(&mut bytes) => if read? == 0 {
                    return Ok(None);
                },
                read = self.client.read(&mut asked) => match read {
                    Ok(0) | Err(_) => return if asking { self.late(bytes).await } else { Ok(None) },
                    Ok(some) => {
                        asking = true;
                        self.server.write_all(&asked[..some]).await?;
                    }
                },
            }
        }
    }

    /// The answer to a client that has gone: nobody gets it, but it is counted.
    async fn late(&mut self, mut bytes: Vec<u8>) -> io::Result<Option<(Head, Vec<u8>)>> {
        let rest = async {
            loop {
                match Head::read(&bytes, MARK) {
                    Some(head) if bytes.len() >= head.bytes + head.body => return Ok(Some((head, bytes))),
                    _ => {}
                }
                if self.server.read_buf(&mut bytes).await? == 0 {
                    return Ok(None);
                }
            }
        };
        tokio::time::timeout(LATE, rest).await.unwrap_or(Ok(None))
    }

    /// Gives an answer as its fate says. Whether the client was there to take all of it.
    async fn give(&mut self, exchange: &Exchange, head: &Head, bytes: &[u8], state: &State) -> bool {
        match exchange.fate {
            Fate::Whole => {}
            Fate::After(time) => {
                if tokio::time::timeout(time, self.gone()).await.is_ok() {
                    return false;
                }
            }
            Fate::Held { turn } => tokio::select! {
                () = self.gone() => return false,
                () = state.turned(turn) => {}
            },
            Fate::Cut => {
                let some = head.bytes + head.body / 2;
                // The client may have gone, too: either way the answer is not whole.
                drop(self.client.write_all(&bytes[..some]).await);
                return false;
            }
        }
        self.client.write_all(bytes).await.is_ok()
    }

    /// Returns when the client has closed its side.
    async fn gone(&mut self) {
        while let Ok(1..) = self.client.read_buf(&mut self.ahead).await {}
    }
}
