//! The played service as a client sees it, on this machine.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use harness_model::fault::Misbehaviour;
use harness_model::name::{Key, Name};
use harness_model::topology;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Instant;

use super::{Asked, Upstream};
use crate::wait;

struct Scene {
    upstream: Upstream,
    asked: UnboundedReceiver<Asked>,
    client: reqwest::Client,
}

impl Scene {
    async fn new() -> Self {
        let spec = topology::Upstream {
            service: Name::new("analyzer"),
            env: [].into(),
            key: Some("/seq".to_owned()),
            answer: json!({"seq": "$/seq", "texts": [{"$each": "/languages", "language": "$"}]}),
        };
        let (sender, asked) = unbounded_channel();
        let seen = Arc::new(move |asked| sender.send(asked).unwrap());
        let bind = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self {
            upstream: Upstream::start(bind, &spec, seen).await.unwrap(),
            asked,
            client: reqwest::Client::new(),
        }
    }

    fn post(&self, body: &Value) -> reqwest::RequestBuilder {
        self.client
            .post(format!("{}/v1/any", self.upstream.url()))
            .json(body)
    }

    /// Asks about a report, and gives status and body of a whole answer.
    async fn ask(&self, seq: u64) -> reqwest::Result<(u16, String)> {
        let answer = self
            .post(&json!({"seq": seq, "languages": ["en"]}))
            .send()
            .await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// Asks on a task of its own, and returns when the request has been decided on.
    async fn asking(&self, seq: u64) -> tokio::task::JoinHandle<reqwest::Result<reqwest::Response>> {
        let before = self.upstream.disturbed();
        let asking = tokio::spawn(self.post(&json!({"seq": seq, "languages": []})).send());
        wait::until("the request", Duration::from_secs(10), || async {
            let disturbed = self.upstream.disturbed();
            if disturbed > before {
                Ok(())
            } else {
                Err(disturbed.to_string())
            }
        })
        .await
        .unwrap();
        asking
    }

    async fn seen(&mut self, key: &str, status: u16, disturbed: bool) {
        let expected = Asked {
            key: Some(Key::new(key)),
            status,
            disturbed,
        };
        assert_eq!(self.asked.recv().await, Some(expected));
    }
}

fn right(seq: u64) -> (u16, String) {
    let body = json!({"seq": seq, "texts": [{"language": "en"}]});
    (200, body.to_string())
}

#[tokio::test]
async fn a_request_is_answered_by_the_template() {
    let mut scene = Scene::new().await;
    for seq in [7, 8] {
        assert_eq!(scene.ask(seq).await.unwrap(), right(seq));
        scene.seen(&seq.to_string(), 200, false).await;
    }
    assert_eq!(scene.upstream.disturbed(), 0);
    let lacking = scene.post(&json!({"seq": "a", "languages": 1}));
    let answer = lacking.send().await.unwrap();
    assert_eq!(answer.status(), 500);
    let said: Value = answer.json().await.unwrap();
    assert_eq!(
        said,
        json!({"error": "the request has no list at `/languages` but 1"})
    );
    scene.seen("a", 500, false).await;
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let mut scene = Scene::new().await;
    let url = scene.upstream.url();
    let answer = scene.client.post(&url).body("{").send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert!(answer.text().await.unwrap().contains("the request is no JSON"));
    assert_eq!(scene.client.get(&url).send().await.unwrap().status(), 404);
    for status in [500, 404] {
        let expected = Asked {
            key: None,
            status,
            disturbed: false,
        };
        assert_eq!(scene.asked.recv().await, Some(expected));
    }
}

#[tokio::test]
async fn so_many_requests_are_answered_with_a_status() {
    let mut scene = Scene::new().await;
    scene.upstream.misbehave(Misbehaviour::Status(429), Some(2));
    for seq in 1..=2 {
        assert_eq!(scene.ask(seq).await.unwrap().0, 429);
        scene.seen(&seq.to_string(), 429, true).await;
    }
    assert_eq!(scene.ask(3).await.unwrap(), right(3));
    scene.seen("3", 200, false).await;
    assert_eq!(scene.upstream.disturbed(), 2);
    scene.upstream.misbehave(Misbehaviour::Status(500), None);
    assert_eq!(scene.upstream.disturbed(), 0);
    assert_eq!(scene.ask(4).await.unwrap().0, 500);
    scene.upstream.behave();
    assert_eq!(scene.ask(5).await.unwrap(), right(5));
    assert_eq!(scene.upstream.disturbed(), 1);
}

#[tokio::test]
async fn garbage_is_no_json() {
    let mut scene = Scene::new().await;
    scene.upstream.misbehave(Misbehaviour::Garbage, None);
    let (status, body) = scene.ask(1).await.unwrap();
    assert_eq!(status, 200);
    assert!(serde_json::from_str::<Value>(&body).is_err());
    scene.seen("1", 200, true).await;
}

#[tokio::test]
async fn a_cut_body_is_an_error_of_the_connection() {
    let mut scene = Scene::new().await;
    scene.upstream.misbehave(Misbehaviour::CutBody, Some(1));
    let answer = scene.post(&json!({"seq": 1, "languages": ["en"]}));
    let answer = answer.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.content_length(), Some(right(1).1.len() as u64));
    let error = answer.bytes().await.unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    scene.seen("1", 0, true).await;
    assert_eq!(scene.ask(2).await.unwrap(), right(2));
    scene.seen("2", 200, false).await;
}

#[tokio::test]
async fn half_of_the_body_of_a_cut_answer_is_sent() {
    let scene = Scene::new().await;
    scene.upstream.misbehave(Misbehaviour::CutBody, None);
    let addr = scene.upstream.url().replace("http://", "");
    let mut stream = TcpStream::connect(&addr).await.unwrap();
    let body = r#"{"seq": 1, "languages": ["en"]}"#;
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {addr}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).await.unwrap();
    let whole = right(1).1;
    let (head, half) = all.split_once("\r\n\r\n").unwrap();
    assert!(
        head.contains(&format!("content-length: {}", whole.len())),
        "{head}"
    );
    assert_eq!(half, &whole[..whole.len() / 2]);
}

#[tokio::test]
async fn a_slow_answer_is_right_but_late() {
    let mut scene = Scene::new().await;
    scene.upstream.misbehave(Misbehaviour::Slow(60), None);
    let begin = Instant::now();
    assert_eq!(scene.ask(1).await.unwrap(), right(1));
    assert!(begin.elapsed() >= Duration::from_millis(60));
    scene.seen("1", 200, true).await;
    // Whoever does not wait gets none.
    scene.upstream.misbehave(Misbehaviour::Slow(3_600_000), None);
    scene.asking(2).await.abort();
    scene.seen("2", 0, true).await;
}

#[tokio::test]
async fn an_answer_that_never_comes_waits_for_the_client_or_for_better_times() {
    let mut scene = Scene::new().await;
    scene.upstream.misbehave(Misbehaviour::Never, None);
    let gone = scene.asking(1).await;
    let patient = scene.asking(2).await;
    assert_eq!(scene.upstream.disturbed(), 2);
    gone.abort();
    scene.seen("1", 0, true).await;
    assert!(!patient.is_finished() && scene.asked.is_empty());
    scene.upstream.behave();
    assert_eq!(patient.await.unwrap().unwrap().status(), 200);
    scene.seen("2", 200, true).await;
}

#[tokio::test]
async fn half_a_request_is_none() {
    let mut scene = Scene::new().await;
    scene.upstream.misbehave(Misbehaviour::Never, None);
    let addr = scene.upstream.url().replace("http://", "");
    let mut stream = TcpStream::connect(&addr).await.unwrap();
    let half = format!("POST / HTTP/1.1\r\nhost: {addr}\r\ncontent-length: 9\r\n\r\n{{\"se");
    stream.write_all(half.as_bytes()).await.unwrap();
    drop(stream);
    assert_eq!(scene.upstream.disturbed(), 0);
    scene.upstream.behave();
    assert_eq!(scene.ask(1).await.unwrap(), right(1));
    scene.seen("1", 200, false).await;
}

#[tokio::test]
async fn nobody_answers_after_the_end() {
    let Scene { upstream, client, .. } = Scene::new().await;
    let url = upstream.url();
    upstream.misbehave(Misbehaviour::Never, None);
    let asking = tokio::spawn(client.post(&url).body("{}").send());
    wait::until("the request", Duration::from_secs(10), || async {
        (upstream.disturbed() == 1).then_some(()).ok_or(String::new())
    })
    .await
    .unwrap();
    drop(upstream);
    assert!(asking.await.unwrap().is_err());
    assert!(
        client
            .post(&url)
            .body("{}")
            .send()
            .await
            .unwrap_err()
            .is_connect()
    );
}
