//! Methods without content.

use super::*;

#[test]
fn a_connection_is_led_to_its_virtual_host_and_opened() {
    let mut talk = Talk::new(|options| options.vhost = Some("trial-17".into()));
    let on_zero = |method| vec![AMQPFrame::Method(0, AMQPClass::Connection(method))];
    let tune = connection::TuneOk {
        channel_max: 2047,
        frame_max: 131_072,
        heartbeat: 30,
    };
    assert_eq!(
        talk.steps(
            Direction::ToServer,
            &on_zero(connection::AMQPMethod::TuneOk(tune))
        ),
        []
    );
    let open = |vhost: &str| {
        connection::AMQPMethod::Open(connection::Open {
            virtual_host: vhost.into(),
        })
    };
    let units = talk.units(Direction::ToServer, &on_zero(open("/")));
    assert_eq!(units[0].bytes, bytes(&on_zero(open("trial-17"))[0]));
    let ok = connection::AMQPMethod::OpenOk(connection::OpenOk {});
    assert_eq!(
        talk.steps(Direction::ToClient, &on_zero(ok)),
        [Step::AmqpOpened {
            vhost: "trial-17".into(),
            heartbeat: 30,
            frame_max: 131_072
        }]
    );

    let blocked = connection::AMQPMethod::Blocked(connection::Blocked {
        reason: "low on memory".into(),
    });
    let unblocked = connection::AMQPMethod::Unblocked(connection::Unblocked {});
    let close = connection::AMQPMethod::Close(connection::Close {
        reply_code: 320,
        reply_text: "shutdown".into(),
        class_id: 0,
        method_id: 0,
    });
    let heartbeat = vec![AMQPFrame::Heartbeat];
    let closed = |by| Step::AmqpClosed {
        by,
        code: 320,
        text: "shutdown".into(),
    };
    for (direction, frames, step) in [
        (
            Direction::ToClient,
            on_zero(blocked),
            Step::Blocked {
                reason: "low on memory".into(),
            },
        ),
        (Direction::ToClient, on_zero(unblocked), Step::Unblocked),
        (
            Direction::ToServer,
            heartbeat.clone(),
            Step::Heartbeat { by: Side::Client },
        ),
        (
            Direction::ToClient,
            heartbeat,
            Step::Heartbeat { by: Side::Server },
        ),
        (Direction::ToClient, on_zero(close.clone()), closed(Side::Server)),
        (Direction::ToServer, on_zero(close), closed(Side::Client)),
    ] {
        let units = talk.units(direction, &frames);
        assert_eq!(
            (units.len(), units[0].chan, &units[0].step),
            (1, None, &Some(step))
        );
    }
}

#[test]
fn topology_and_channel_methods_leave_their_steps() {
    let mut talk = Talk::new(|_| ());
    let opened = channel::AMQPMethod::OpenOk(channel::OpenOk {});
    assert_eq!(talk.server(AMQPClass::Channel(opened)), [Step::ChannelOpened]);
    let declare = exchange::Declare {
        exchange: "x".into(),
        durable: true,
        ..exchange::Declare::default()
    };
    let step = Step::Declare {
        what: "exchange".into(),
        name: "x".into(),
        durable: true,
        passive: false,
    };
    assert_eq!(
        talk.client(AMQPClass::Exchange(exchange::AMQPMethod::Declare(declare))),
        [step]
    );
    let declare = queue::Declare {
        queue: "q".into(),
        passive: true,
        ..queue::Declare::default()
    };
    let step = Step::Declare {
        what: "queue".into(),
        name: "q".into(),
        durable: false,
        passive: true,
    };
    assert_eq!(
        talk.client(AMQPClass::Queue(queue::AMQPMethod::Declare(declare))),
        [step]
    );
    let ok = queue::DeclareOk {
        queue: "q".into(),
        message_count: 0,
        consumer_count: 0,
    };
    assert_eq!(
        talk.server(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok.clone()))),
        []
    );

    // The broker chooses a name, and an empty name means that queue from then on.
    let declare = queue::Declare {
        durable: true,
        ..queue::Declare::default()
    };
    assert_eq!(
        talk.client(AMQPClass::Queue(queue::AMQPMethod::Declare(declare))),
        []
    );
    let ok = queue::DeclareOk {
        queue: "amq.gen-1".into(),
        ..ok
    };
    let step = Step::Declare {
        what: "queue".into(),
        name: "amq.gen-1".into(),
        durable: true,
        passive: false,
    };
    assert_eq!(
        talk.server(AMQPClass::Queue(queue::AMQPMethod::DeclareOk(ok))),
        [step]
    );
    let bind = queue::Bind {
        exchange: "x".into(),
        routing_key: "k".into(),
        ..queue::Bind::default()
    };
    let step = Step::Bind {
        queue: "amq.gen-1".into(),
        exchange: "x".into(),
        key: "k".into(),
    };
    assert_eq!(
        talk.client(AMQPClass::Queue(queue::AMQPMethod::Bind(bind))),
        [step]
    );

    let unbind = queue::Unbind {
        exchange: "x".into(),
        routing_key: "k".into(),
        ..queue::Unbind::default()
    };
    let step = Step::Unbind {
        queue: "amq.gen-1".into(),
        exchange: "x".into(),
        key: "k".into(),
    };
    assert_eq!(
        talk.client(AMQPClass::Queue(queue::AMQPMethod::Unbind(unbind))),
        [step]
    );
    let delete = queue::Delete {
        queue: "q".into(),
        if_unused: true,
        ..queue::Delete::default()
    };
    let step = Step::Delete {
        what: "queue".into(),
        name: "q".into(),
    };
    assert_eq!(
        talk.client(AMQPClass::Queue(queue::AMQPMethod::Delete(delete))),
        [step]
    );
    let delete = exchange::Delete {
        exchange: "x".into(),
        ..exchange::Delete::default()
    };
    let step = Step::Delete {
        what: "exchange".into(),
        name: "x".into(),
    };
    assert_eq!(
        talk.client(AMQPClass::Exchange(exchange::AMQPMethod::Delete(delete))),
        [step]
    );

    let qos = basic::Qos {
        prefetch_count: 16,
        global: true,
    };
    let step = Step::Qos {
        prefetch: 16,
        global: true,
    };
    assert_eq!(talk.client(AMQPClass::Basic(basic::AMQPMethod::Qos(qos))), [step]);
    let select = confirm::AMQPMethod::Select(confirm::Select { nowait: false });
    assert_eq!(talk.client(AMQPClass::Confirm(select)), [Step::ConfirmSelect]);

    let consume = basic::Consume {
        consumer_tag: "now".into(),
        nowait: true,
        ..basic::Consume::default()
    };
    let step = Step::Consume {
        queue: "amq.gen-1".into(),
        consumer: "now".into(),
        no_ack: false,
    };
    assert_eq!(
        talk.client(AMQPClass::Basic(basic::AMQPMethod::Consume(consume))),
        [step]
    );
    let cancel = || {
        let cancel = basic::Cancel {
            consumer_tag: "now".into(),
            nowait: true,
        };
        AMQPClass::Basic(basic::AMQPMethod::Cancel(cancel))
    };
    let step = |by, queue| Step::Cancel {
        by,
        consumer: "now".into(),
        queue,
    };
    assert_eq!(
        talk.client(cancel()),
        [step(Side::Client, Some("amq.gen-1".into()))]
    );
    assert_eq!(
        talk.server(cancel()),
        [step(Side::Server, Some("amq.gen-1".into()))]
    );
    assert_eq!(talk.server(cancel()), [step(Side::Server, None)]);

    let close = channel::Close {
        reply_code: 404,
        reply_text: "none".into(),
        class_id: 0,
        method_id: 0,
    };
    let close = || AMQPClass::Channel(channel::AMQPMethod::Close(close.clone()));
    let closed = |by| Step::ChannelClosed {
        by,
        code: 404,
        text: "none".into(),
    };
    assert_eq!(talk.server(close()), [closed(Side::Server)]);
    assert_eq!(talk.client(close()), [closed(Side::Client)]);
}
