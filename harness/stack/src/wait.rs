//! The one place that waits for something that cannot announce itself.
//!
//! A wait asks again and again, at first every 2 ms and at most every 25 ms, until it is answered or its deadline has
//! passed; the error then carries what the last question saw. What can announce itself (ledger events, sockets,
//! processes) is awaited directly, not polled.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// First pause between two questions.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// Longest pause between two questions: what a wait may be longer than the thing waited for.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// A wait whose deadline has passed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TimedOut {
    /// What was awaited.
    pub what: String,
    /// The deadline, from the beginning of the wait.
    pub within: Duration,
    /// What the last question saw.
    pub last_seen: String,
}

impl fmt::Display for TimedOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "waited {:.1} s for {}; last seen: {}",
            self.within.as_secs_f64(),
            self.what,
            self.last_seen
        )
    }
}

/// Asks `probe` until it answers `Ok`. `Err` means "not yet, because ..".
///
/// # Errors
/// [`TimedOut`] with the last reason when `within` has passed; a probe that is still running then is dropped.
pub async fn until<T, F, Fut>(what: &str, within: Duration, mut probe: F) -> Result<T, TimedOut>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    let deadline = Instant::now() + within;
    let mut pause = FIRST_PAUSE;
    let mut last_seen = String::from("no answer yet");
    loop {
        match timeout_at(deadline, probe()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(reason)) => last_seen = reason,
            Err(_) => {
                return Err(TimedOut {
                    what: what.to_owned(),
                    within,
                    last_seen,
                });
            }
        }
        if Instant::now() + pause >= deadline {
            return Err(TimedOut {
                what: what.to_owned(),
                within,
                last_seen,
            });
        }
        tokio::time::sleep_until(Instant::now() + pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Lets time pass, where its length is what is asked for: a fault lasts as long as its scenario says, and an endpoint that
/// is watched is asked at a pace. Nothing may be awaited with it.
pub async fn pass(time: Duration) {
    tokio::time::sleep_until(Instant::now() + time).await;
}

#[cfg(test)]
mod tests {
    use super::until;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_deadline_tells_what_was_seen_last() {
        let mut asked = 0;
        let error = until::<(), _, _>("the moon", Duration::from_secs(3), || {
            asked += 1;
            let reason = format!("question {asked}");
            async move { Err(reason) }
        })
        .await
        .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("waited 3.0 s for the moon; last seen: question "),
            "{error}"
        );
        assert!(asked > 100, "{asked}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_never_returns_is_dropped_at_the_deadline() {
        let error = until::<(), _, _>("an answer", Duration::from_secs(1), std::future::pending)
            .await
            .unwrap_err();
        assert_eq!(error.last_seen, "no answer yet");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_ends_the_wait() {
        let mut left = 3;
        let value = until("three", Duration::from_secs(1), || {
            left -= 1;
            let done = left == 0;
            async move { if done { Ok(7) } else { Err("not yet".to_owned()) } }
        })
        .await;
        assert_eq!(value, Ok(7));
    }
}
