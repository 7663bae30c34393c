//! Services outside the pipeline, played by the harness: whoever a service under test asks over HTTP.
//!
//! A good answer is made from the request by the topology's rules (`answer`). What makes answers bad is asked for by a
//! scenario ([`Upstream::misbehave`]) and ends with [`Upstream::behave`], or after so many requests. A mock server decides
//! on each answer when its request is whole; `relay` passes it on, late, in part or not at all; `head` tells where it ends.

mod answer;
mod head;
mod relay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use harness_model::fault::Misbehaviour;
use harness_model::name::Key;
use harness_model::topology;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// Field of an answer's head with the number of its exchange, in lower case.
const MARK: &str = "x-harness-exchange";

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The report it was about, if that can be told.
    pub key: Option<Key>,
    /// Status of the answer; 0 if there was none, or none that was whole.
    pub status: u16,
    /// It was not answered as it would have been without [`Upstream::misbehave`].
    pub disturbed: bool,
}

/// Told of each request once, when its answer has been given or cannot be given any more. Not told of a request that
/// still waits for its answer when the [`Upstream`] is dropped. It is called between two bytes of the wire: it must not
/// block.
pub type Seen = Arc<dyn Fn(Asked) + Send + Sync>;

/// A played service. It listens until it is dropped.
pub struct Upstream {
    addr: SocketAddr,
    state: Arc<State>,
    relay: AbortHandle,
    _mock: MockServer,
}

/// What requests and the scenario share.
struct State {
    spec: topology::Upstream,
    seen: Seen,
    behaviour: Mutex<Behaviour>,
    /// Counts the changes of behaviour: an answer that is held waits for the next one.
    turn: watch::Sender<u64>,
}

#[derive(Default)]
struct Behaviour {
    does: Option<Misbehaviour>,
    /// To so many more requests; absent means to all.
    left: Option<u64>,
    disturbed: u64,
    exchanges: u64,
    /// Decided, and not yet passed on.
    decided: BTreeMap<u64, Exchange>,
}

/// One request and what becomes of its answer.
#[derive(Debug, Default)]
struct Exchange {
    key: Option<Key>,
    disturbed: bool,
    fate: Fate,
}

/// How an answer is passed on.
#[derive(Debug, Default, PartialEq, Eq)]
enum Fate {
    /// At once and whole.
    #[default]
    Whole,
    /// Whole, after so long.
    After(Duration),
    /// Whole, after the next change of behaviour.
    Held {
        /// The last change.
        turn: u64,
    },
    /// The head and half of the body; then the connection ends.
    Cut,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

impl Upstream {
    /// Listens at a port of its own at `bind`, and answers POST requests to any path as the topology says: 200 with what
    /// `spec.answer` becomes, or 500 if that does not fit the request. Must be called within a runtime, which serves it.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn start(bind: IpAddr, spec: &topology::Upstream, seen: Seen) -> io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::new(bind, 0)).await?;
        let addr = listener.local_addr()?;
        let behind = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mock = MockServer::builder()
            .listener(behind)
            .disable_request_recording()
            .start()
            .await;
        let state = Arc::new(State {
            spec: spec.clone(),
            seen,
            behaviour: Mutex::default(),
            turn: watch::Sender::new(0),
        });
        let answers = Arc::clone(&state);
        Mock::given(method("POST"))
            .respond_with(move |request: &Request| answers.decide(&request.body))
            .mount(&mock)
            .await;
        let listening = relay::listen(listener, *mock.address(), Arc::clone(&state));
        Ok(Self {
            addr,
            state,
            relay: tokio::spawn(listening).abort_handle(),
            _mock: mock,
        })
    }

    /// Where services find it: `http://` and an address, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// From now on requests are disturbed: `limit` of them, or all. What was asked for before has ended.
    pub fn misbehave(&self, does: Misbehaviour, limit: Option<u64>) {
        let mut behaviour = self.state.behaviour();
        behaviour.does = Some(does);
        behaviour.left = limit;
        behaviour.disturbed = 0;
        self.state.turn.send_modify(|turn| *turn += 1);
    }

    /// From now on requests are answered rightly, and so are those that wait for an answer that would never come.
    pub fn behave(&self) {
        let mut behaviour = self.state.behaviour();
        behaviour.does = None;
        self.state.turn.send_modify(|turn| *turn += 1);
    }

    /// Requests that were disturbed since the last [`Upstream::misbehave`], those included that still wait.
    pub fn disturbed(&self) -> u64 {
        self.state.behaviour().disturbed
    }
}

impl State {
    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exchange with this number; it can be had once.
    fn take(&self, id: u64) -> Option<Exchange> {
        self.behaviour().decided.remove(&id)
    }

    /// Returns at the first change of behaviour after `turn`.
    async fn turned(&self, turn: u64) {
        // It cannot end before the state does.
        drop(self.turn.subscribe().wait_for(|now| *now != turn).await);
    }

    /// Decides on the answer to a request with this body.
    fn decide(&self, body: &[u8]) -> ResponseTemplate {
        let request: Result<Value, _> = serde_json::from_slice(body);
        let key = request.as_ref().ok().and_then(|request| self.key(request));
        let good = request
            .map_err(|error| format!("the request is no JSON: {error}"))
            .and_then(|request| answer::answer(&self.spec.answer, &request));
        let good = good.map_or_else(|cause| refusal(500, &cause), |answer| json_of(200, &answer));
        let mut behaviour = self.behaviour();
        let does = behaviour.next();
        let turn = *self.turn.borrow();
        let (answer, fate) = match does {
            None => (good, Fate::Whole),
            Some(Misbehaviour::Status(status)) => (refusal(status, "as asked for"), Fate::Whole),
            Some(Misbehaviour::Garbage) => (garbage(), Fate::Whole),
            Some(Misbehaviour::Slow(ms)) => (good, Fate::After(Duration::from_millis(ms.into()))),
            Some(Misbehaviour::Never) => (good, Fate::Held { turn }),
            Some(Misbehaviour::CutBody) => (good, Fate::Cut),
        };
        let id = behaviour.exchanges;
        behaviour.exchanges += 1;
        let exchange = Exchange {
            key,
            disturbed: does.is_some(),
            fate,
        };
        behaviour.decided.insert(id, exchange);
        answer.insert_header(MARK, id.to_string())
    }

    fn key(&self, request: &Value) -> Option<Key> {
        match request.pointer(self.spec.key.as_deref()?)? {
            Value::String(text) => Some(Key::new(text)),
            Value::Number(number) => Some(Key::new(number.to_string())),
            _ => None,
        }
    }
}

impl Behaviour {
    /// What is done to the next request.
    fn next(&mut self) -> Option<Misbehaviour> {
        let does = self.does?;
        match &mut self.left {
            Some(0) => return None,
            Some(left) => *left -= 1,
            None => {}
        }
        self.disturbed += 1;
        Some(does)
    }
}

fn json_of(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

fn refusal(status: u16, why: &str) -> ResponseTemplate {
    json_of(status, &json!({"error": why}))
}

fn garbage() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_raw("}<- this is no answer", "application/json")
}
