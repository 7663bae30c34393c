//! Cutting a link: what both peers see, and what the ledger says.

use std::io;
use std::net::SocketAddr;

use harness_model::event::{Backend, Ending, Side, Step};
use harness_model::fault::Cut;
use harness_wire::recorder::Recorder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{backend, pair, soon, tap};

/// `count` connections over which one line has passed, so that they are through to the backend.
async fn established(count: usize, listener: &TcpListener, addr: SocketAddr) -> Vec<(TcpStream, TcpStream)> {
    let mut pairs = Vec::new();
    for _ in 0..count {
        let (mut client, mut server) = pair(listener, addr).await;
        client.write_all(b"hello\n").await.unwrap();
        soon("the first line", server.read_exact(&mut [0; 6]))
            .await
            .unwrap();
        pairs.push((client, server));
    }
    pairs
}

async fn end(stream: &mut TcpStream) -> Result<usize, io::ErrorKind> {
    soon("the end of the stream", stream.read(&mut [0; 64]))
        .await
        .map_err(|error| error.kind())
}

#[tokio::test]
async fn fin_and_rst_reach_both_peers_of_every_connection() {
    for (how, seen, ending) in [
        (Cut::Fin, Ok(0), Ending::Fin),
        (Cut::Rst, Err(io::ErrorKind::ConnectionReset), Ending::Rst),
    ] {
        let (listener, addr) = backend().await;
        let recorder = Recorder::in_memory();
        let tap = tap(addr, &recorder);
        let mut pairs = established(5, &listener, tap.addr()).await;
        assert_eq!((tap.connections(), tap.cut(how).await), (5, 5));
        assert_eq!(tap.connections(), 0);
        for (client, server) in &mut pairs {
            assert_eq!((end(client).await, end(server).await), (seen, seen), "{how:?}");
        }
        let cut = Step::Disconnect {
            to: Backend::Broker,
            by: Side::Tap,
            how: ending,
        };
        let cuts = recorder.with(|events| events.iter().filter(|event| event.step == cut).count());
        assert_eq!(cuts, 5);
        // The address is as good as before.
        let _again = established(1, &listener, tap.addr()).await;
        assert_eq!(tap.cut(how).await, 1, "those that are gone do not count again");
        tap.close().await;
    }
}

#[tokio::test]
async fn a_cut_by_fin_is_orderly_although_the_peers_are_sending() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let (mut client, mut server) = established(1, &listener, tap.addr()).await.remove(0);
    // More than the tap can have passed: something is left unread when it is cut.
    let line = [b'x'; 4096];
    while client.try_write(&line).is_ok() {}
    tap.cut(Cut::Fin).await;
    assert_eq!(end(&mut client).await, Ok(0));
    let mut rest = Vec::new();
    assert!(
        soon("the server's end", server.read_to_end(&mut rest))
            .await
            .is_ok(),
        "not a reset"
    );
    tap.close().await;
}

#[tokio::test]
async fn nothing_passes_half_open_and_everything_after_healing() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let mut pairs = established(2, &listener, tap.addr()).await;
    assert_eq!(tap.cut(Cut::HalfOpen).await, 2);
    let before = recorder.len();
    for (client, server) in &mut pairs {
        client.write_all(b"question\n").await.unwrap();
        server.write_all(b"answer\n").await.unwrap();
    }
    // A new client is let in, and hears nothing. Its connection is under way only once the tap is healed.
    let mut late = soon("dialling", TcpStream::connect(tap.addr())).await.unwrap();
    late.write_all(b"late\n").await.unwrap();
    // The tap has seen all of it by the time it answers; a peer that ends is not noticed either.
    let (mut gone, _server) = pairs.pop().unwrap();
    gone.shutdown().await.unwrap();
    soon("the new client's turn", async {
        while tap.connections() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(recorder.len(), before);
    let (mut client, mut server) = pairs.pop().unwrap();
    for stream in [&client, &server] {
        assert_eq!(
            stream.try_read(&mut [0; 64]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }

    tap.heal().await;
    let (mut question, mut answer) = ([0; 9], [0; 7]);
    soon("the question", server.read_exact(&mut question))
        .await
        .unwrap();
    soon("the answer", client.read_exact(&mut answer)).await.unwrap();
    assert_eq!((&question, &answer), (b"question\n", b"answer\n"));
    let (mut late_server, _) = soon("the new client", listener.accept()).await.unwrap();
    let mut line = [0; 5];
    soon("the new client's line", late_server.read_exact(&mut line))
        .await
        .unwrap();
    assert_eq!(&line, b"late\n");

    // A link can be cut while it is half open.
    tap.cut(Cut::HalfOpen).await;
    assert_eq!(tap.cut(Cut::Rst).await, 3);
    assert_eq!(end(&mut client).await, Err(io::ErrorKind::ConnectionReset));
    tap.close().await;
}

#[tokio::test]
async fn half_open_in_one_direction_the_other_passes_and_nobody_can_dial() {
    for (how, towards) in [
        (Cut::HalfOpenToService, Side::Client),
        (Cut::HalfOpenFromService, Side::Server),
    ] {
        let (listener, addr) = backend().await;
        let recorder = Recorder::in_memory();
        let tap = tap(addr, &recorder);
        let (client, server) = established(1, &listener, tap.addr()).await.pop().unwrap();
        assert_eq!(tap.cut(how).await, 1);
        let (mut stopped, mut passing) = match towards {
            Side::Client => (server, client),
            _ => (client, server),
        };
        let before = recorder.len();
        stopped.write_all(b"kept\n").await.unwrap();
        passing.write_all(b"passes\n").await.unwrap();
        let mut line = [0; 7];
        soon("what passes", stopped.read_exact(&mut line)).await.unwrap();
        assert_eq!(&line, b"passes\n");
        // In this protocol the client's lines are events.
        let passed = u64::from(towards == Side::Client);
        assert_eq!(recorder.len(), before + passed, "only what passes is recorded");
        // A dial needs both directions.
        let mut late = soon("dialling", TcpStream::connect(tap.addr())).await.unwrap();
        late.write_all(b"late\n").await.unwrap();
        assert_eq!(
            passing.try_read(&mut [0; 64]).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );

        tap.heal().await;
        let mut line = [0; 5];
        soon("what was kept", passing.read_exact(&mut line))
            .await
            .unwrap();
        assert_eq!(&line, b"kept\n");
        let (mut far, _) = soon("the new client", listener.accept()).await.unwrap();
        soon("its line", far.read_exact(&mut line)).await.unwrap();
        assert_eq!(&line, b"late\n");
        tap.close().await;
    }
}

#[tokio::test]
async fn a_reset_passes_where_bytes_do_and_after_healing_elsewhere() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let mut pairs = established(3, &listener, tap.addr()).await;
    tap.cut(Cut::HalfOpenToService).await;
    let (mut client, server) = pairs.pop().unwrap();
    server.set_zero_linger().unwrap();
    drop(server);
    let (gone, mut server) = pairs.pop().unwrap();
    gone.set_zero_linger().unwrap();
    drop(gone);
    assert_eq!(end(&mut server).await, Err(io::ErrorKind::ConnectionReset));
    // What passes later shows that the tap has had time for both.
    let (mut asking, mut server) = pairs.pop().unwrap();
    asking.write_all(b"hello\n").await.unwrap();
    soon("a line", server.read_exact(&mut [0; 6])).await.unwrap();
    assert_eq!(
        client.try_read(&mut [0; 64]).unwrap_err().kind(),
        io::ErrorKind::WouldBlock
    );
    let reset = |by| Step::Disconnect {
        to: Backend::Broker,
        by,
        how: Ending::Rst,
    };
    let resets = || {
        let of = |by| recorder.with(|events| events.iter().filter(|event| event.step == reset(by)).count());
        (of(Side::Client), of(Side::Server))
    };
    assert_eq!(resets(), (1, 0));
    tap.heal().await;
    assert_eq!(end(&mut client).await, Err(io::ErrorKind::ConnectionReset));
    assert_eq!(resets(), (1, 1));
    tap.close().await;
}

#[tokio::test]
async fn a_silent_cut_is_noticed_by_the_backend_only() {
    let (listener, addr) = backend().await;
    let recorder = Recorder::in_memory();
    let tap = tap(addr, &recorder);
    let mut pairs = established(2, &listener, tap.addr()).await;
    assert_eq!(tap.cut(Cut::Silent).await, 2);
    let cut = Step::Disconnect {
        to: Backend::Broker,
        by: Side::Tap,
        how: Ending::Rst,
    };
    assert_eq!(
        recorder.with(|events| events.iter().filter(|event| event.step == cut).count()),
        2
    );
    for (client, server) in &mut pairs {
        assert_eq!(end(server).await, Err(io::ErrorKind::ConnectionReset));
        client.write_all(b"is anybody there?\n").await.unwrap();
    }
    // A new connection is as good as ever, and what goes over it shows that the tap has had time to answer the old ones.
    let mut new = established(1, &listener, tap.addr()).await;
    let before = recorder.len();
    let (client, server) = &mut new[0];
    server.write_all(b"answer\n").await.unwrap();
    soon("the answer", client.read_exact(&mut [0; 7])).await.unwrap();
    for (client, _) in &pairs {
        let kind = client.try_read(&mut [0; 64]).unwrap_err().kind();
        assert_eq!(kind, io::ErrorKind::WouldBlock, "it is neither told nor answered");
    }
    assert_eq!(recorder.len(), before, "what a dead connection sends is no step");
    tap.close().await;
}
