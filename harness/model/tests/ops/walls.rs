//! Firewall rules in the three forms.

use harness_model::ops::firewall::{Firewall, POLICY};
use harness_model::ops::policy::PortPolicy;
use harness_model::ops::ports::Open;
use harness_model::verdict::Finding;

use crate::{Cases, TODAY};

/// 22, 80 and 443 are listened on, and 5432 on loopback.
fn judged(text: &str) -> Vec<Finding> {
    let listening = "LISTEN 0 1 0.0.0.0:22 *:*\nLISTEN 0 1 *:80 *:*\nLISTEN 0 1 *:443 *:*\nLISTEN 0 1 127.0.0.1:5432 *:*\n";
    let listening = Open::of_ss("ss", listening).unwrap();
    let firewall = Firewall::parse("rules", text).unwrap_or_else(|error| panic!("{error}"));
    firewall.judge(&PortPolicy::default(), Some(&listening), TODAY)
}

fn gcloud(rules: &str) -> Vec<Finding> {
    judged(&format!("[{rules}]"))
}

fn tables(rules: &str) -> Vec<Finding> {
    judged(&format!(
        "*filter\n:INPUT DROP [0:0]\n:FORWARD ACCEPT [0:0]\n{rules}\nCOMMIT\n"
    ))
}

fn ufw(rules: &str) -> Vec<Finding> {
    judged(&format!(
        "Status: active\n\nTo                         Action      From\n--                         ------      ----\n{rules}\n"
    ))
}

const WEB: &str = r#"{"name":"web","direction":"INGRESS","sourceRanges":["0.0.0.0/0"],"allowed":[{"IPProtocol":"tcp","ports":["80","443"]}],"disabled":false}"#;

fn ranged(name: &str, source: &str, ports: &str, more: &str) -> String {
    format!(
        r#"{{"name":"{name}","sourceRanges":["{source}"],"allowed":[{{"IPProtocol":"tcp","ports":["{ports}"]}}]{more}}}"#
    )
}

#[test]
fn nothing_is_opened_that_the_policy_closes() {
    let mut cases = Cases::of(POLICY);
    cases.accept("gcloud: public ports", &gcloud(WEB));
    let disabled = ranged("old", "0.0.0.0/0", "3000", r#","disabled":true"#);
    cases.accept("gcloud: a rule that is off", &gcloud(&disabled));
    let out = ranged("out", "0.0.0.0/0", "3000", r#","direction":"EGRESS""#);
    cases.accept("gcloud: what goes out", &gcloud(&out));
    cases.accept(
        "gcloud: inside",
        &gcloud(&ranged("inside", "10.128.0.0/9", "0-65535", "")),
    );
    let deny = r#"{"name":"deny","priority":900,"sourceRanges":["0.0.0.0/0"],"denied":[{"IPProtocol":"tcp","ports":["3000"]}]}"#;
    let shadowed = format!("{},{deny}", ranged("late", "0.0.0.0/0", "3000", ""));
    let dangling = gcloud(&shadowed);
    assert!(
        dangling.iter().all(|finding| finding.what.contains("dangling")),
        "{dangling:?}"
    );
    cases.accept(
        "iptables: public ports, loopback, what is there already",
        &tables("-A INPUT -i lo -j ACCEPT\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n[12:720] -A INPUT -p tcp -m multiport --dports 80,443 -j ACCEPT\n-A INPUT -p icmp -j ACCEPT"),
    );
    cases.accept(
        "iptables: all is shut first",
        &tables("-A INPUT -j DROP\n-A INPUT -j ACCEPT"),
    );
    cases.accept("ufw: public ports", &ufw("22/tcp                     ALLOW       Anywhere\n80,443/tcp                 ALLOW IN    Anywhere\nOpenSSH (v6)               LIMIT       Anywhere (v6)\n3000                       DENY        Anywhere"));

    cases.reject(
        "gcloud: a port that was removed",
        &gcloud(&ranged("grafana", "0.0.0.0/0", "3000", "")),
        2,
    );
    cases.reject(
        "gcloud: no sources means all",
        &gcloud(&ranged("all", "0.0.0.0/0", "5432", "").replace("\"0.0.0.0/0\"", "")),
        1,
    );
    let any = r#"{"name":"any","sourceRanges":["0.0.0.0/0"],"allowed":[{"IPProtocol":"all"}]}"#;
    cases.reject("gcloud: everything", &gcloud(any), 2);
    cases.reject(
        "gcloud: half of all is not private",
        &gcloud(&ranged("half", "10.0.0.0/1", "5432", "")),
        1,
    );
    cases.reject(
        "gcloud: dangling inside",
        &gcloud(&ranged("debug", "192.168.0.0/16", "8090", "")),
        1,
    );
    cases.reject(
        "iptables: a range",
        &tables("-A INPUT -p tcp --dport 8090:8091 -j ACCEPT"),
        2,
    );
    cases.reject(
        "iptables: a chain of its own",
        &tables("-A INPUT -j ours\n-A ours -p tcp --dport 5432 -j ACCEPT"),
        1,
    );
    cases.reject(
        "iptables: open by default",
        &judged("*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n"),
        2,
    );
    cases.reject(
        "iptables: a limit opens all the same",
        &tables("-A INPUT -p tcp --dport 5432 -m limit --limit 3/min -j ACCEPT"),
        1,
    );
    cases.reject(
        "ufw: a port that was removed",
        &ufw("8090/tcp                   ALLOW       Anywhere"),
        2,
    );
    cases.reject("ufw: off", &judged("Status: inactive\n"), 2);
    cases.review();
}

/// What is said of TCP port 3000; dangling rules are not looked at.
fn opens_3000(text: &str) -> Vec<String> {
    let firewall = Firewall::parse("rules", text).unwrap_or_else(|error| panic!("{error}"));
    let found = firewall.judge(&PortPolicy::default(), None, TODAY);
    let said = found.into_iter().map(|finding| finding.what);
    said.filter(|what| what.contains("tcp 3000,") || what.contains("every tcp port"))
        .collect()
}

#[test]
fn a_deny_closes_only_what_it_closes_for_everybody() {
    let then = "-A INPUT -p tcp --dport 3000 -j ACCEPT";
    for (deny, open) in [
        ("-A INPUT -j DROP", false),
        ("-A INPUT -p tcp -j REJECT --reject-with tcp-reset", false),
        ("-A INPUT -p 6 -m tcp --dport 3000 -j DROP", false),
        (
            "-A INPUT -s 0.0.0.0/0 -p tcp -m multiport --dports 22,2000:4000 -j DROP",
            false,
        ),
        (
            "-A INPUT -m comment --comment \"no -s 1.2.3.4 here\" -j DROP",
            false,
        ),
        ("-A INPUT -m conntrack --ctstate NEW,INVALID -j DROP", false),
        (
            "-A INPUT -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP",
            false,
        ),
        ("-A INPUT ! -i lo -j DROP", false),
        ("-A INPUT -p tcp -m multiport ! --dports 80,443 -j DROP", false),
        ("[7:420] -A INPUT -p tcp ! --dport 22 -j DROP", false),
        (
            "-A INPUT -p tcp --dport 1:2999 -j DROP\n-A INPUT -p tcp --dport 3000:65535 -j DROP",
            false,
        ),
        ("-A INPUT -s 203.0.113.7/32 -j DROP", true),
        ("-A INPUT ! -s 203.0.113.7/32 -j DROP", true),
        ("-A INPUT -s 10.0.0.0/8 -j DROP", true),
        ("-A INPUT -s 0.0.0.0/1 -j DROP", true),
        ("-A INPUT -d 203.0.113.7/32 -j DROP", true),
        ("-A INPUT -i eth1 -j DROP", true),
        ("-A INPUT -i lo -j DROP", true),
        ("-A INPUT -f -j DROP", true),
        ("-A INPUT ! -f -j DROP", true),
        ("-A INPUT ! -p tcp -j DROP", true),
        ("-A INPUT -p udp -j DROP", true),
        ("-A INPUT -p icmp -j DROP", true),
        (
            "-A INPUT -p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN -m state --state NEW -j DROP",
            true,
        ),
        ("-A INPUT -m conntrack --ctstate INVALID -j DROP", true),
        ("-A INPUT -m conntrack ! --ctstate NEW -j DROP", true),
        (
            "-A INPUT -p tcp -m connlimit --connlimit-above 20 -j REJECT",
            true,
        ),
        ("-A INPUT -m limit --limit 3/min -j DROP", true),
        ("-A INPUT -m set --match-set bad src -j DROP", true),
        ("-A INPUT -p tcp --sport 99 -j DROP", true),
        ("-A INPUT -p tcp -m multiport ! --dports 80,3000 -j DROP", true),
        ("-A INPUT -p tcp -m something -j DROP", true),
        // Chains.
        ("-A INPUT -j ours\n-A ours -j DROP", false),
        (
            "-A INPUT -p tcp -j ours\n-A ours -p tcp --dport 3000 -g shut\n-A shut -j DROP",
            false,
        ),
        ("-A INPUT -p tcp --dport 22 -j ours\n-A ours -j DROP", true),
        ("-A INPUT -s 203.0.113.7/32 -j ours\n-A ours -j DROP", true),
        ("-A INPUT -m recent --rcheck -j ours\n-A ours -j DROP", true),
        (
            "-A INPUT -p tcp -m multiport --dports 22,3000 -j f2b\n-A f2b -s 203.0.113.7/32 -j REJECT\n-A f2b -j RETURN",
            true,
        ),
        (
            "-A INPUT -j ours\n-A ours -p tcp --dport 3000 -j RETURN\n-A ours -j DROP",
            true,
        ),
        (
            "-A INPUT -j ours\n-A ours -s 203.0.113.0/24 -j RETURN\n-A ours -j DROP",
            true,
        ),
        (
            "-A INPUT -j ours\n-A ours -p tcp --dport 22 -j RETURN\n-A ours -j DROP",
            false,
        ),
        (
            "-A INPUT -j ours\n-A ours -s 10.0.0.0/8 -j RETURN\n-A ours -j DROP",
            false,
        ),
        (
            "-A INPUT -j ours\n-A ours -j ours\n-A ours -j LOG --log-prefix \"-j DROP\"",
            true,
        ),
        ("-A INPUT -j elsewhere", true),
    ] {
        let text = format!("*filter\n:INPUT DROP [0:0]\n{deny}\n{then}\nCOMMIT\n");
        assert_eq!(opens_3000(&text).len(), usize::from(open), "{deny}");
    }
}

#[test]
fn what_is_not_understood_of_an_allow_opens() {
    for (rules, open) in [
        (
            "-A INPUT -p tcp --dport 3000 -m something --odd \"a b\" -j ACCEPT",
            true,
        ),
        (
            "-A INPUT -p tcp -d 203.0.113.7/32 -i eth0 --dport 3000 -j ACCEPT",
            true,
        ),
        ("-A INPUT -s 203.0.113.7/32 -p tcp --dport 3000 -j ACCEPT", true),
        ("-A INPUT ! -s 10.0.0.0/8 -p tcp --dport 3000 -j ACCEPT", true),
        (
            "-A INPUT -p tcp --dport 3000 -m conntrack --ctstate NEW,DNAT -j ACCEPT",
            true,
        ),
        (
            "-A INPUT -p tcp --dport 3000 -m conntrack --ctstate DNAT -j ACCEPT",
            true,
        ),
        ("-A INPUT ! -p icmp -j ACCEPT", true),
        ("-A INPUT -p tcp --dport 3000 -j NFQUEUE --queue-num 0", true),
        ("-A INPUT -p tcp --dport 3000 -j ours\n-A ours -j ACCEPT", true),
        (
            "-A INPUT -m recent --rcheck -j ours\n-A ours -p tcp --dport 3000 -j ACCEPT",
            true,
        ),
        (
            "-A INPUT -j ours\n-A INPUT -p udp -j ours\n-A ours -p tcp --dport 3000 -j ACCEPT",
            true,
        ),
        ("-A INPUT -s 10.0.0.0/8 -p tcp --dport 3000 -j ACCEPT", false),
        (
            "-A INPUT -s 10.0.0.0/8 -j ours\n-A ours -p tcp --dport 3000 -j ACCEPT",
            false,
        ),
        ("-A INPUT ! -p tcp -j ACCEPT", false),
        (
            "-A INPUT -p tcp --dport 3000 -m conntrack ! --ctstate NEW -j ACCEPT",
            false,
        ),
        ("-A INPUT -i lo -j ours\n-A ours -j ACCEPT", false),
        (
            "-A INPUT -p tcp --dport 3000 -j RETURN\n-A INPUT -p tcp --dport 3000 -j ACCEPT",
            false,
        ),
        (
            "-A INPUT -j ours\n-A ours -p tcp --dport 3000 -j RETURN\n-A ours -p tcp --dport 3000 -j ACCEPT",
            false,
        ),
    ] {
        let text = format!("*filter\n:INPUT DROP [0:0]\n{rules}\nCOMMIT\n");
        assert_eq!(opens_3000(&text).len(), usize::from(open), "{rules}");
    }
    // The rules of one family say nothing of the other's.
    let both = "*filter\n-A INPUT -j DROP\nCOMMIT\n*nat\n-A INPUT -j ACCEPT\nCOMMIT\n*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n";
    assert_eq!(opens_3000(both).len(), 1);
    let but = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m multiport --dports 3000,8090:8091 -j DROP\nCOMMIT\n";
    let said = "rules: the default of INPUT (line 2) opens every tcp port but 3000, 8090-8091 to everybody; expected public ports only";
    assert_eq!(opens_3000(but), [said]);
}

#[test]
fn a_deny_of_ufw_closes_only_what_it_closes_for_everybody() {
    let then = "3000/tcp                   ALLOW       Anywhere";
    for (deny, open) in [
        ("3000                       DENY        Anywhere", false),
        (
            "3000/tcp                   DENY IN     Anywhere                   (log)  # old",
            false,
        ),
        ("Anywhere                   REJECT IN   Anywhere", false),
        ("[ 1] 2000:4000/tcp         DENY IN     Anywhere", false),
        ("Anywhere                   DENY        203.0.113.7", true),
        ("3000                       DENY        203.0.113.0/24", true),
        ("3000                       DENY        10.0.0.0/8", true),
        ("3000                       DENY        Anywhere 99/tcp", true),
        ("3000/udp                   DENY        Anywhere", true),
        ("3000 on eth1               DENY        Anywhere", true),
        ("203.0.113.9 3000           DENY        Anywhere", true),
        ("203.0.113.9                DENY        Anywhere", true),
        ("3000 (v6)                  DENY        Anywhere (v6)", true),
        ("3000                       DENY OUT    Anywhere", true),
    ] {
        let text = format!("Status: active\n\n{deny}\n{then}\n");
        assert_eq!(opens_3000(&text).len(), usize::from(open), "{deny}");
    }
    // A long destination leaves one space only, and the default may be the other one.
    let long = "Status: active\n2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff 3000/tcp ALLOW IN    Anywhere (v6)\n";
    assert_eq!(opens_3000(long).len(), 1);
    let default = "Status: active\nDefault: allow (incoming), allow (outgoing), disabled (routed)\n";
    assert_eq!(opens_3000(default).len(), 1);
}

#[test]
fn a_deny_of_gcloud_closes_only_what_it_closes_for_everybody() {
    let deny = |fields: &str| format!(r#"{{"name":"deny","priority":900,{fields}}}"#);
    let port = r#""denied":[{"IPProtocol":"tcp","ports":["3000"]}]"#;
    let any = r#""sourceRanges":["0.0.0.0/0"]"#;
    let six = r#""sourceRanges":["::/0"]"#;
    let allow = ranged("allow", "0.0.0.0/0", "3000", r#","network":"a""#);
    for (fields, open) in [
        (
            format!(r#"{any},{port},"network":"a","description":"d","logConfig":{{"enable":false}}"#),
            false,
        ),
        (format!(r#"{port},"network":"a""#), false),
        (
            format!(r#"{any},"denied":[{{"IPProtocol":"all"}}],"network":"a""#),
            false,
        ),
        (
            format!(r#""sourceRanges":["203.0.113.7/32","0.0.0.0/0"],{port},"network":"a""#),
            false,
        ),
        (
            format!(r#""sourceRanges":["203.0.113.7/32"],{port},"network":"a""#),
            true,
        ),
        (
            format!(r#""sourceRanges":["10.0.0.0/8"],{port},"network":"a""#),
            true,
        ),
        (format!(r#""sourceTags":["web"],{port},"network":"a""#), true),
        (
            format!(r#"{any},{port},"network":"a","targetTags":["web"]"#),
            true,
        ),
        (
            format!(r#"{any},{port},"network":"a","destinationRanges":["203.0.113.7/32"]"#),
            true,
        ),
        (format!(r#"{any},{port},"network":"b""#), true),
        (format!(r#"{six},{port},"network":"a""#), true),
        (format!(r#"{any},{port},"network":"a","disabled":true"#), true),
    ] {
        let text = format!("[{allow},{}]", deny(&fields));
        assert_eq!(opens_3000(&text).len(), usize::from(open), "{fields}");
    }
}

#[test]
fn rules_that_cannot_be_read_are_named() {
    let said = |text: &str| Firewall::parse("rules", text).unwrap_err().to_string();
    assert!(said("hello").starts_with("read the firewall rules of rules: it is neither the JSON of gcloud"));
    let bad = said("*filter\n-A INPUT -p tcp --dport ssh -j ACCEPT\nCOMMIT\n");
    assert_eq!(
        bad,
        "read the firewall rules of rules: line 2: `ssh` is no port or range"
    );
    let bad = said("Status: active\nSamba   ALLOW   Anywhere\n");
    assert!(
        bad.starts_with("read the firewall rules of rules: line 2: `Samba` is no port"),
        "{bad}"
    );
    let bad = said(&format!("[{}]", ranged("r", "everywhere", "1", "")));
    assert_eq!(
        bad,
        "read the firewall rules of rules: rule r: `everywhere` is no range of addresses"
    );
    assert!(said("[{}]").contains("missing field `name`"));
}
