//! `harness check deploy` on a platform that runs: the engine and the services' endpoints are played, over real sockets.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::checks::{Place, pins};

/// Answers by the end of the path that is asked for.
type Answers = BTreeMap<String, String>;

/// Answers one request on a connection, and gives its first line.
fn answer(mut connection: impl Read + Write, answers: &Answers) -> String {
    let mut head = Vec::new();
    for line in BufReader::new(&mut connection).lines() {
        match line.unwrap() {
            line if line.is_empty() => break,
            line => head.push(line),
        }
    }
    let request = head.first().cloned().unwrap_or_default();
    let path = request.split([' ', '?']).nth(1).unwrap_or_default();
    let found = answers.iter().find(|(end, _)| path.ends_with(end.as_str()));
    let (status, body) = found.map_or(("404 Not Found", "{}"), |(_, body)| ("200 OK", body));
    let length = body.len();
    // Who has heard enough hangs up.
    drop(write!(
        connection,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    ));
    request
}

/// An engine with two containers, which run these images; all that it is asked is kept.
fn play_engine(place: &mut Place, images: [&str; 2]) -> Arc<Mutex<Vec<String>>> {
    let socket = place.site.path().join("engine.sock");
    place.engine = Some(format!("unix://{}", socket.display()));
    drop(std::fs::remove_file(&socket));
    let listener = UnixListener::bind(&socket).unwrap();
    let services = ["tags", "web"].into_iter().zip(images);
    let mut answers = Answers::from([("/_ping".to_owned(), "OK".to_owned())]);
    let mut listed = Vec::new();
    for (service, image) in services {
        listed.push(json!({ "Id": service }));
        let (_, digest) = image.split_once('@').unwrap();
        let container = json!({
            "Id": service, "Name": format!("/app-{service}-1"), "Image": digest, "State": {"Status": "running"},
            "Config": {"Image": image, "Labels": {
                "com.docker.compose.project": "harness-no-such-project", "com.docker.compose.service": service,
            }},
        });
        answers.insert(format!("/containers/{service}/json"), container.to_string());
        let image = json!({ "Id": digest, "RepoDigests": [image] });
        answers.insert(format!("/images/{digest}/json"), image.to_string());
    }
    answers.insert("/containers/json".to_owned(), Value::from(listed).to_string());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&asked);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let request = answer(connection.unwrap(), &answers);
            kept.lock().unwrap().push(request);
        }
    });
    asked
}

/// An endpoint that says this commit; its address.
fn play_service(service: &str, git_sha: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let version = json!({ "service": service, "git_sha": git_sha, "build_time": "2026-11-24T03:00:00Z" });
    let answers = Answers::from([("/version".to_owned(), version.to_string())]);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            answer(connection.unwrap(), &answers);
        }
    });
    format!("http://{address}/version")
}

#[test]
fn a_platform_that_is_as_it_should_be_passes_in_every_respect() {
    let mut place = Place::new();
    let of = |name: &str, digit: &str| format!("registry.test/app/{name}@sha256:{}", digit.repeat(64));
    let (tags, web) = (of("tags", "a"), of("web", "b"));
    place.write("pins.yml", &pins(&tags));
    let asked = |urls: [String; 2]| {
        format!(
            "deploy --compose base.yml --pins pins.yml --internal registry.test/app/ --versions {} --versions {}",
            urls[0], urls[1]
        )
    };
    let (new, old) = ("0123456789ab", "cdef01234567");
    let good = asked([play_service("tags", new), play_service("web", new)]);

    let requests = play_engine(&mut place, [&tags, &web]);
    place.expect(
        &good,
        0,
        &[
            "override-parses ok",
            "pins-complete ok",
            "third-party-pinned ok",
            "running-digest ok",
            "port-mappings ok",
            "port-policy ok",
            "versions-agree ok",
        ],
    );
    let requests = requests.lock().unwrap().clone();
    assert!(
        requests
            .iter()
            .any(|request| request.contains("/containers/json")),
        "{requests:?}"
    );
    for request in requests {
        assert!(
            request.starts_with("GET ") || request.starts_with("HEAD "),
            "{request}"
        );
    }
    let mixed = asked([play_service("tags", new), play_service("web", old)]);
    place.expect(
        &mixed,
        100,
        &["running-digest ok", "versions-agree FAIL", "versions are mixed"],
    );
    play_engine(&mut place, [&tags, &of("web", "c")]);
    place.expect(
        &good,
        100,
        &[
            "running-digest FAIL",
            "container app-web-1 runs",
            "versions-agree ok",
        ],
    );
}
