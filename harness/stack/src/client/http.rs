//! Reading the services' endpoints.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;

/// Longest time for one request.
const DEADLINE: Duration = Duration::from_secs(5);

static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    reqwest::Client::builder()
        .timeout(DEADLINE)
        // A service that is killed and started again must not be asked over a connection to its predecessor.
        .pool_max_idle_per_host(0)
        .build()
        .expect("a client without TLS has nothing to fail on")
});

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Its JSON body; null if it is none.
    pub body: Value,
}

/// `GET http://ip:port/path`.
///
/// # Errors
/// When nothing answers, as one line.
pub async fn get(ip: IpAddr, port: u16, path: &str) -> Result<Answer, String> {
    let url = format!("http://{}{path}", SocketAddr::new(ip, port));
    let response = CLIENT.get(&url).send().await.map_err(|error| cause(&error))?;
    let status = response.status().as_u16();
    let text = response.text().await.map_err(|error| cause(&error))?;
    Ok(Answer {
        status,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
    })
}

/// The innermost cause: what the network said, not what the client was doing.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
