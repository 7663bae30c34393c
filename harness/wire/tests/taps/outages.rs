//! A tap's address while its backend is down, and when it comes back.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use harness_model::event::{Backend, Step};
use harness_wire::recorder::Recorder;
use harness_wire::tap::{Tap, TapSpec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{backend, lines, pair, recorded, soon, tap};

async fn dial(addr: SocketAddr) -> Result<TcpStream, io::ErrorKind> {
    soon("dialling", TcpStream::connect(addr))
        .await
        .map_err(|error| error.kind())
}

#[tokio::test]
async fn a_dial_is_refused_while_the_backend_is_down_and_the_address_stays() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let at = tap.addr();
    let (mut client, mut server) = pair(&listener, at).await;
    for _ in 0..20 {
        tap.backend_down().await;
        assert_eq!(dial(at).await.err(), Some(io::ErrorKind::ConnectionRefused));
        tap.backend_up(addr).await.unwrap();
        drop(pair(&listener, at).await);
    }
    // What was open stays open; it ends when the backend ends it.
    client.write_all(b"still\n").await.unwrap();
    let mut line = [0; 6];
    soon("the open connection", server.read_exact(&mut line))
        .await
        .unwrap();
    assert_eq!(&line, b"still\n");

    // The port is kept from others meanwhile, whether or not connections of it are left.
    drop((client, server));
    tap.backend_down().await;
    for _ in 0..200 {
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        assert_ne!(other.local_addr().unwrap(), at);
    }
    let (elsewhere, addr) = backend().await;
    tap.backend_up(addr).await.unwrap();
    drop(pair(&elsewhere, at).await);
    tap.close().await;
    assert_eq!(dial(at).await.err(), Some(io::ErrorKind::ConnectionRefused));
}

#[tokio::test]
async fn an_outage_that_nobody_announced_is_found_out_and_its_end_too() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    drop(listener);
    // Whether the reset comes during the dial or right after it is a matter of luck.
    let end = match dial(tap.addr()).await {
        Ok(mut first) => soon("the first client", first.read(&mut [0; 8]))
            .await
            .map_err(|error| error.kind()),
        Err(refused) => Err(refused),
    };
    assert_eq!(end, Err(io::ErrorKind::ConnectionReset));
    recorded(
        &recorder,
        "the failed dial",
        |step| matches!(step, Step::DialFailed { to: Backend::Broker, error } if error.contains("refused")),
    )
    .await;
    soon("refusals", async {
        while dial(tap.addr()).await.err() != Some(io::ErrorKind::ConnectionRefused) {}
    })
    .await;

    // The tap tries by itself until the backend is there again.
    let listener = TcpListener::bind(addr).await.unwrap();
    let (probe, _) = soon("the probe", listener.accept()).await.unwrap();
    drop(probe);
    let client = soon("listening again", async {
        loop {
            if let Ok(client) = dial(tap.addr()).await {
                return client;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (mut server, _) = soon("the client", listener.accept()).await.unwrap();
    server.write_all(b"back\n").await.unwrap();
    let mut line = [0; 5];
    soon("the first line", { client }.read_exact(&mut line))
        .await
        .unwrap();
    assert_eq!(&line, b"back\n");
    tap.close().await;
}

#[tokio::test]
async fn a_tap_is_not_for_everybody() {
    let spec = TapSpec {
        service: "svc".into(),
        bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        backend: Backend::Database,
        upstream: (Ipv4Addr::LOCALHOST, 1).into(),
        recorder: Recorder::in_memory(),
        codec: lines(),
    };
    assert_eq!(Tap::open(spec).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
