//! Panics as values: message and place, without a word on stderr.
//!
//! The process-wide hook is replaced once. It keeps quiet only on a thread that is inside [`caught`] or
//! [`caught_in`]; everywhere else the hook that was there before runs.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::Once;
use std::task::Poll;

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

fn install() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !INSIDE.get() {
                return before(info);
            }
            let text = info.payload_as_str().unwrap_or("a value that is no text");
            let place = info
                .location()
                .map(|at| format!(" at {}:{}", at.file(), at.line()))
                .unwrap_or_default();
            LAST.set(Some(format!("{text}{place}")));
        }));
    });
}

/// The value of `work`, or the message and place of its panic.
pub(crate) fn caught_in<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    install();
    let outer = INSIDE.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    INSIDE.set(outer);
    result.map_err(|_| {
        LAST.take()
            .unwrap_or_else(|| "a panic without a message".to_owned())
    })
}

/// The output of `future`, or the message and place of the panic of one of its polls.
pub(crate) async fn caught<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    poll_fn(|context| match caught_in(|| future.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(message) => Poll::Ready(Err(message)),
    })
    .await
}
