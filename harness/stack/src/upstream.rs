//! Services outside the pipeline, played by the harness: whoever a service under test asks over HTTP.
//!
//! A good answer is made from the request by the topology's rules (module `answer`). What makes answers bad is asked for
//! by a scenario ([`Upstream::misbehave`]) and ends with [`Upstream::behave`], or after so many requests.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use harness_model::fault::Misbehaviour;
use harness_model::name::Key;
use harness_model::topology;

/// What became of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The report it was about, if that can be told.
    pub key: Option<Key>,
    /// Status of the answer; 0 if there was none, or none that was whole.
    pub status: u16,
    /// It was not answered as in [`Upstream::behave`].
    pub disturbed: bool,
}

/// Told of each request once, when its answer has been given or cannot be given any more.
pub type Seen = Arc<dyn Fn(Asked) + Send + Sync>;

/// A played service. It listens until it is dropped.
pub struct Upstream {}

impl Upstream {
    /// Listens at a port of its own at `bind`, and answers POST requests to any path as the topology says.
    ///
    /// # Errors
    /// When it cannot listen there.
    pub async fn start(bind: IpAddr, spec: &topology::Upstream, seen: Seen) -> io::Result<Self> {
        drop((bind, spec, seen));
        std::future::ready(()).await;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Where services find it: `http://` and an address, without a path.
    pub fn url(&self) -> String {
        String::new()
    }

    /// From now on requests are disturbed: `limit` of them, or all. What was asked for before has ended.
    pub fn misbehave(&self, does: Misbehaviour, limit: Option<u64>) {
        let _ = (self, does, limit);
    }

    /// From now on requests are answered rightly, and so are those that still wait for an answer.
    pub fn behave(&self) {}

    /// Requests that were disturbed since the last [`Upstream::misbehave`], those included that still wait.
    pub fn disturbed(&self) -> u64 {
        0
    }
}
