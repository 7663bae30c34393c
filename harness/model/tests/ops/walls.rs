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
