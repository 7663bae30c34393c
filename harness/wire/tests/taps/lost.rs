//! Acks that a fault takes out of the stream: what the broker is told, and what the ledger says it was told.

use amq_protocol::frame::{AMQPContentHeader, AMQPFrame, gen_frame};
use amq_protocol::protocol::{AMQPClass, basic};
use harness_model::event::{Fate, Step, StepKind};
use harness_model::fault::{Pattern, Trigger};
use harness_wire::in_flight::InFlight;
use harness_wire::recorder::{Action, Recorder, Rule};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::amqp::options;
use crate::support::{backend, pair, recorded, soon, tap_of};

const HEADER: &[u8] = b"AMQP\0\0\x09\x01";

fn bytes(frame: &AMQPFrame) -> Vec<u8> {
    let mut buffer = vec![0; 1024];
    let (_, len) = gen_frame(frame)(buffer.as_mut_slice().into())
        .unwrap()
        .into_inner();
    buffer.truncate(usize::try_from(len).unwrap());
    buffer
}

fn method(method: basic::AMQPMethod) -> Vec<u8> {
    bytes(&AMQPFrame::Method(1, AMQPClass::Basic(method)))
}

fn ack(delivery_tag: u64, multiple: bool) -> Vec<u8> {
    method(basic::AMQPMethod::Ack(basic::Ack {
        delivery_tag,
        multiple,
    }))
}

fn delivery(delivery_tag: u64) -> Vec<u8> {
    let deliver = basic::Deliver {
        consumer_tag: "c".into(),
        delivery_tag,
        redelivered: false,
        exchange: "x".into(),
        routing_key: "k".into(),
    };
    let header = AMQPContentHeader {
        class_id: 60,
        body_size: 1,
        properties: basic::AMQPProperties::default(),
    };
    [
        method(basic::AMQPMethod::Deliver(deliver)),
        bytes(&AMQPFrame::Header(1, header)),
        bytes(&AMQPFrame::Body(1, delivery_tag.to_string().into_bytes())),
    ]
    .concat()
}

async fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    soon("bytes", stream.read_exact(&mut bytes)).await.unwrap();
    bytes
}

/// The tags that the acks in the ledger cover.
fn acks(recorder: &Recorder) -> Vec<Vec<u64>> {
    let events = recorder.since(0);
    let covers = events.iter().filter_map(|event| match &event.step {
        Step::Ack { covers } => Some(covers.iter().map(|covered| covered.tag).collect()),
        _ => None,
    });
    covers.collect()
}

#[tokio::test]
async fn the_ledger_keeps_the_view_of_the_broker() {
    let pattern = Pattern::new(StepKind::Ack);
    // Lost by a rule, or held and then dropped.
    for held in [false, true] {
        let (listener, addr) = backend().await;
        let recorder = Recorder::in_memory();
        let codec = harness_wire::amqp::codec(options(), InFlight::new());
        let tap = tap_of(codec, addr, &recorder);
        let (mut client, mut server) = pair(&listener, tap.addr()).await;
        client.write_all(HEADER).await.unwrap();
        assert_eq!(read(&mut server, HEADER.len()).await, HEADER);
        let deliveries: Vec<u8> = (1..=4).flat_map(delivery).collect();
        server.write_all(&deliveries).await.unwrap();
        assert_eq!(read(&mut client, deliveries.len()).await, deliveries);

        let gate = held.then(|| recorder.arm("f".into(), Trigger::nth(1, pattern.clone())));
        let rule = Rule {
            pattern: pattern.clone(),
            action: Action::Drop,
            every: 1,
            limit: Some(1),
        };
        let rule = (!held).then(|| recorder.rule("f".into(), rule));
        // The second ack is in the read of the first, the third is not.
        let second = ack(3, true);
        client
            .write_all(&[ack(2, false), second.clone()].concat())
            .await
            .unwrap();
        if let Some(gate) = &gate {
            soon("firing", gate.fired()).await;
            gate.release(Fate::Dropped);
        }
        assert_eq!(read(&mut server, second.len()).await, second, "the first is lost");
        client.write_all(&ack(4, true)).await.unwrap();
        recorded(
            &recorder,
            "the last ack",
            |step| matches!(step, Step::Ack { covers } if covers.iter().any(|covered| covered.tag == 4)),
        )
        .await;
        assert_eq!(acks(&recorder), [&[2][..], &[1, 2, 3], &[4]], "held: {held}");
        drop(rule);
        tap.close().await;
    }
}
