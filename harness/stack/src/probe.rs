//! Asking an endpoint of a running platform, once.

use std::time::Duration;

/// Longest wait for an answer.
const DEADLINE: Duration = Duration::from_secs(5);
/// Most of an answer that is read.
const MOST: usize = 64 * 1024;

/// The body of the answer to a GET, or why there is none: an address that is none, no connection, no answer in five
/// seconds, a status other than 200. It is asked once.
pub async fn get(url: &str) -> Result<String, String> {
    let client = reqwest::Client::builder()
        .timeout(DEADLINE)
        .build()
        .map_err(|error| told(&error))?;
    let answer = client.get(url).send().await.map_err(|error| told(&error))?;
    let status = answer.status();
    if status != reqwest::StatusCode::OK {
        return Err(format!("status {status}"));
    }
    let body = answer.text().await.map_err(|error| told(&error))?;
    if body.len() > MOST {
        return Err(format!("an answer of {} bytes", body.len()));
    }
    Ok(body)
}

/// An error with what is behind it.
fn told(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}
