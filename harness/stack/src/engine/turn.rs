//! One container ends at a time.
//!
//! When two containers of one network end at the same moment, engine 20.10 can take the locks of the network and of its
//! controller in both orders (`endpoint.sbLeave` and `processEndpointDelete` of its libnetwork). From then on it does nothing
//! on any network until it is restarted. So a process of the harness ends its containers one after the other; what other
//! processes do, and containers that end by themselves, are not in its hands.

use tokio::sync::{Mutex, MutexGuard};

use super::CALL;

/// The turn to end a container, until the result is dropped. Whoever has waited for as long as a call may take goes ahead
/// without: somebody else's has got stuck.
pub(crate) async fn turn() -> Option<MutexGuard<'static, ()>> {
    static ENDS: Mutex<()> = Mutex::const_new(());
    tokio::time::timeout(CALL, ENDS.lock()).await.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bollard::{API_DEFAULT_VERSION, Docker};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;
    use tokio::sync::Mutex;
    use tokio::time::Instant;

    use super::{CALL, turn};
    use crate::engine::Engine;

    /// Both tests have to do with the one turn that there is.
    static ONE: Mutex<()> = Mutex::const_new(());

    #[tokio::test(start_paused = true)]
    async fn an_end_that_is_stuck_holds_nobody_up_for_longer_than_a_call() {
        let _one = ONE.lock().await;
        let stuck = turn().await;
        assert!(stuck.is_some());
        let begin = Instant::now();
        assert!(turn().await.is_none());
        assert_eq!(begin.elapsed().as_secs(), CALL.as_secs());
        drop(stuck);
        assert!(turn().await.is_some());
    }

    #[tokio::test]
    async fn an_engine_is_never_asked_to_end_two_containers_at_once() {
        let _one = ONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let (asked, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (now, ever) = (Arc::clone(&asked), Arc::clone(&most));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (now, ever) = (Arc::clone(&now), Arc::clone(&ever));
                tokio::spawn(async move {
                    let mut question = [0; 4096];
                    assert!(stream.read(&mut question).await.unwrap() > 0);
                    ever.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    // Time enough for another question to be put.
                    for _ in 0..1000 {
                        tokio::task::yield_now().await;
                    }
                    now.fetch_sub(1, Ordering::SeqCst);
                    let answer = b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
                    stream.write_all(answer).await.unwrap();
                });
            }
        });
        let engine = Engine {
            docker: Docker::connect_with_unix(socket.to_str().unwrap(), 120, API_DEFAULT_VERSION).unwrap(),
            stuck: Arc::default(),
        };
        let ends = ["a", "b", "c"].map(|id| engine.remove_container(id));
        for ended in futures::future::join_all(ends).await {
            ended.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }
}
