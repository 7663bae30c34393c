//! A pipeline that stands until Ctrl-C.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::support::{Site, signal};

/// What a GET of this address answers.
fn get(url: &str) -> String {
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    write!(
        stream,
        "GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_stands_until_ctrl_c_and_leaves_nothing() {
    let site = Site::new();
    let mut command = site.command(&["stack", "up"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let said: Vec<_> = lines
        .by_ref()
        .take_while(|line| line != "Ctrl-C removes it")
        .collect();
    let of = |name: &str| {
        let line = said.iter().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {said:#?}"))
            .trim()
            .to_owned()
    };
    let password = of("password");
    let secret = std::fs::read_to_string(&password).unwrap();
    assert_eq!(
        std::fs::metadata(&password).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(!said.iter().any(|line| line.contains(secret.trim())), "{said:#?}");
    assert!(get(&of("analyzer")).contains("\"status\""));
    let (_, broker) = of("broker")
        .split_once('@')
        .map(|(user, at)| (user.to_owned(), at.to_owned()))
        .unwrap();
    TcpStream::connect(broker.split_once('/').unwrap().0).unwrap();

    signal("INT", &child.id().to_string());
    assert_eq!(lines.collect::<Vec<_>>(), ["removed"]);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    site.assert_clean();
}
