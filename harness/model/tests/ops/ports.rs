//! Published ports, listening sockets, the policy.

use harness_model::ops::compose::Config;
use harness_model::ops::policy::{Policy, PortPolicy};
use harness_model::ops::ports::{MAPPINGS, Open, POLICY, mappings, policy};
use harness_model::verdict::Finding;

use crate::{Cases, TODAY};

/// A configuration with services `name=HOST:PUBLISHED:TARGET,..`.
fn config(services: &[&str]) -> Config {
    let services = services.iter().map(|service| {
        let (name, ports) = service.split_once('=').unwrap();
        let ports = ports.split(',').map(|port| {
            let [host, published, target] = port.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{port}")
            };
            let (target, protocol) = target.split_once('/').unwrap_or((target, "tcp"));
            let mut json = serde_json::json!({ "mode": "ingress", "target": target.parse::<u16>().unwrap(), "protocol": protocol });
            if host != "*" {
                json["host_ip"] = host.into();
            }
            if published != "*" {
                json["published"] = published.into();
            }
            json
        });
        let ports: Vec<_> = ports.collect();
        (name.to_owned(), serde_json::json!({ "image": "i", "ports": ports }))
    });
    let services: serde_json::Map<_, _> = services.collect();
    Config::parse(
        "compose.yml",
        &serde_json::json!({ "services": services }).to_string(),
    )
    .unwrap()
}

fn excepting(expires: &str) -> PortPolicy {
    let text = format!(
        "[[ports.exception]]\nport = 8080\nservice = \"web\"\nowner = \"mobile team\"\nreason = \"old clients\"\nexpires = {expires}\n"
    );
    Policy::parse("policy.toml", &text).unwrap().ports
}

#[test]
fn each_port_is_published_once() {
    let mut cases = Cases::of(MAPPINGS);
    let found = |services: &[&str]| mappings(&config(services), &PortPolicy::default(), TODAY);
    cases.accept(
        "one each",
        &found(&["web=* 80 80,* 443 443", "tags=127.0.0.1 8081 80"]),
    );
    cases.accept(
        "both families of loopback",
        &found(&["tags=127.0.0.1 8081 80,::1 8081 80"]),
    );
    cases.accept("tcp and udp", &found(&["web=* 443 443,* 443 443/udp"]));
    cases.accept(
        "the same port of two addresses",
        &found(&["a=127.0.0.1 80 80", "b=127.0.0.2 80 80"]),
    );
    let legacy = config(&["web=* 80 80,* 8080 80"]);
    cases.accept(
        "the last day of an exception beside it",
        &mappings(&legacy, &excepting("2026-11-24"), TODAY),
    );

    cases.reject(
        "appended by an override",
        &found(&["tags=* 8081 80,127.0.0.1 8081 80"]),
        1,
    );
    cases.reject(
        "an exception beside it that ended",
        &mappings(&legacy, &excepting("2026-11-23"), TODAY),
        1,
    );
    cases.reject("two ports for one", &found(&["web=* 80 80,* 8080 80"]), 1);
    let profiles = |a: &str, b: &str| {
        let service = |profiles: &str| {
            format!(r#"{{"profiles":{profiles},"ports":[{{"target":80,"published":"80"}}]}}"#)
        };
        let json = format!(r#"{{"services":{{"a":{},"b":{}}}}}"#, service(a), service(b));
        mappings(&Config::parse("c", &json).unwrap(), &PortPolicy::default(), TODAY)
    };
    cases.accept("never at the same time", &profiles(r#"["x"]"#, r#"["y"]"#));
    cases.reject("with the same profile", &profiles(r#"["x"]"#, r#"["x","y"]"#), 1);
    cases.reject("with a profile, and always", &profiles("[]", r#"["y"]"#), 1);
    cases.reject(
        "two services for one port",
        &found(&["a=127.0.0.1 80 80", "b=* 80 8000"]),
        1,
    );
    cases.review();
    assert!(
        Config::parse(
            "c",
            r#"{"services":{"a":{"ports":[{"target":80,"published":"http"}]}}}"#
        )
        .is_err()
    );
    let number = Config::parse(
        "c",
        r#"{"services":{"a":{"ports":[{"target":80,"published":8080}]}}}"#,
    )
    .unwrap();
    assert_eq!(number.services["a"].ports[0].short(), "0.0.0.0:8080:80/tcp");
}

const TCP: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 020011AC:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
   3: 00000000:1F9A 0100007F:ABCD 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0
";
const TCP6: &str = "  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0 0 0 0 0 0
   1: 00000000000000000000000001000000:1F9B 00000000000000000000000000000000:0000 0A 0 0 0 0 0 0
   2: 0000000000000000FFFF00000100007F:1F9C 00000000000000000000000000000000:0000 0A 0 0 0 0 0 0
   3: 00000000000000000000000000000000:1F9A 00000000000000000000000000000000:0000 0A 0 0 0 0 0 0
";
const SS: &str = "LISTEN 0      4096       127.0.0.1:8080       0.0.0.0:*
LISTEN 0      128          0.0.0.0:22         0.0.0.0:*
LISTEN 0      4096   127.0.0.53%lo:53         0.0.0.0:*
LISTEN 0      511                *:8090             *:*
LISTEN 0      128             [::]:22            [::]:*
";

fn judged(open: &[Open], allowed: &PortPolicy) -> Vec<Finding> {
    policy(allowed, open, TODAY)
}

#[test]
fn only_public_ports_are_open() {
    let mut cases = Cases::of(POLICY);
    let plain = PortPolicy::default();
    let open = |services: &[&str]| Open::of_config(&config(services));
    let fine = open(&[
        "web=* 80 80,:: 443 443",
        "tags=127.0.0.1 8081 80,::1 8081 80,127.0.0.5 1 1",
    ]);
    cases.accept("public and loopback", &judged(&fine, &plain));
    let legacy = open(&["web=* 8080 80"]);
    cases.accept(
        "the last day of an exception",
        &judged(&legacy, &excepting("2026-11-24")),
    );
    assert!(excepting("2026-11-24").unused(&legacy).is_empty());

    let host = |mode: &str| {
        let json = format!(
            r#"{{"services":{{"web":{{"network_mode":"host"}},"tags":{{"network_mode":"{mode}"}}}}}}"#
        );
        Open::of_config(&Config::parse("c", &json).unwrap())
    };
    cases.accept(
        "on the machine's network by an exception",
        &judged(&host("none"), &excepting("2026-11-24")),
    );
    assert!(excepting("2026-11-24").unused(&host("bridge")).is_empty());
    cases.reject(
        "on the machine's network",
        &judged(&host("container:x"), &plain),
        1,
    );
    cases.reject(
        "on that of a service which is there",
        &judged(&host("service:web"), &excepting("2026-11-24")),
        1,
    );
    cases.reject(
        "on the machine's network by an exception that ended",
        &judged(&host("service:tags"), &excepting("2026-11-23")),
        1,
    );
    cases.reject("on all addresses", &judged(&open(&["tags=* 8081 80"]), &plain), 1);
    cases.reject(
        "on one that others reach",
        &judged(&open(&["tags=10.0.0.5 8081 80"]), &plain),
        1,
    );
    cases.reject(
        "an exception that ended",
        &judged(&legacy, &excepting("2026-11-23")),
        1,
    );
    let tags = open(&["tags=* 8080 80"]);
    cases.reject(
        "that of another service",
        &judged(&tags, &excepting("2027-01-31")),
        1,
    );
    cases.reject("udp", &judged(&open(&["web=* 443 443/udp"]), &plain), 1);
    cases.reject("any port", &judged(&open(&["web=* * 80"]), &plain), 1);
    cases.reject("a range", &judged(&open(&["web=* 8000-8001 80"]), &plain), 2);
    cases.reject(
        "/proc/net/tcp",
        &judged(&Open::of_proc("tcp", TCP).unwrap(), &plain),
        1,
    );
    cases.reject(
        "/proc/net/tcp6",
        &judged(&Open::of_proc("tcp6", TCP6).unwrap(), &plain),
        1,
    );
    cases.reject("ss", &judged(&Open::of_ss("ss", SS).unwrap(), &plain), 1);
    cases.review();
    let unused = excepting("2027-01-31").unused(&fine);
    assert_eq!(
        unused,
        ["nobody uses the exception of mobile team for port 8080/tcp any more"]
    );
}

#[test]
fn sockets_that_cannot_be_read_are_named_by_line() {
    let said =
        |error: Result<Vec<Open>, harness_model::ops::ports::SocketError>| error.unwrap_err().to_string();
    let bad = TCP.replace("0100007F:1F90", "0100007:1F90");
    assert_eq!(
        said(Open::of_proc("tcp", &bad)),
        "read tcp: line 2: `0100007:1F90` is no address in hexadecimal"
    );
    let bad = SS.replace("127.0.0.1:8080", "localhost:http");
    assert_eq!(
        said(Open::of_ss("ss", &bad)),
        "read ss: line 1: `localhost:http` is no address and port"
    );
}

#[test]
fn mistakes_in_a_policy_are_shown_with_their_line() {
    let good = "[ports]\npublic = [22, 443]\n[[ports.exception]]\nport = 8080\nowner = \"o\"\nreason = \"r\"\nexpires = \"2027-01-31\"\n";
    let policy = Policy::parse("policy.toml", good).unwrap();
    assert_eq!(policy.ports.public, [22, 443].into());
    let table = [
        (
            "port = 8080",
            "port = 443",
            "an exception for a port that is public",
            "policy.toml:4:",
        ),
        (
            "\"o\"",
            "\" \"",
            "an exception without an owner",
            "policy.toml:5:",
        ),
        ("\"r\"", "\"\"", "an exception without a reason", "policy.toml:6:"),
        ("\"2027-01-31\"", "\"soon\"", "`soon` is no day", "policy.toml:7:"),
        ("reason = \"r\"\n", "", "missing field `reason`", "policy.toml:3:"),
        ("public", "publik", "unknown field `publik`", "policy.toml:2:"),
        ("port = 8080", "port = 80800", "invalid value", "policy.toml:4:"),
        ("[ports]", "[ports", "", "policy.toml:1:"),
    ];
    for (from, to, message, place) in table {
        let error = Policy::parse("policy.toml", &good.replacen(from, to, 1)).unwrap_err();
        let said = &error.mistakes()[0].message;
        assert!(said.contains(message), "{to}: {said}");
        let shown = error.render(100, false);
        assert!(shown.contains(place), "{to}: {shown}");
    }
}

#[test]
fn a_socket_of_somebody_else_with_the_same_number() {
    let open = |address: &str, port| Open {
        seen: "somewhere".to_owned(),
        service: None,
        address: address.parse().unwrap(),
        port,
        protocol: "tcp".to_owned(),
    };
    let containers = [open("127.0.0.1", 33095), open("10.0.0.5", 8080)];
    for (address, port, theirs) in [
        ("127.0.0.1", 33095, true),
        ("0.0.0.0", 33095, true),
        ("::", 8080, true),
        ("10.0.0.5", 8080, true),
        ("172.25.0.1", 33095, false),
        ("10.0.0.5", 33095, false),
        ("0.0.0.0", 9090, false),
    ] {
        let found = Open::of_platform(&containers, vec![open(address, port)]);
        assert_eq!(!found.is_empty(), theirs, "{address}:{port}");
    }
}
