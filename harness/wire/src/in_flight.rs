//! What the taps of one trial tell each other: which messages are in a service's hands, and which the harness injected.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use harness_model::name::Key;

/// The messages that were delivered to one service and are not settled yet, in the view of the service: what it has sent an
/// ack for is not in its hands, even if that ack is lost on its way. Clones share the same set.
///
/// It is a multiset: a message delivered twice is in flight until it is settled twice. The AMQP taps of the service fill
/// it; the database tap of the same service reads it to tell which reports a statement is about.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<BTreeMap<Key, usize>>>);

impl InFlight {
    /// Nothing in flight.
    pub fn new() -> Self {
        Self::default()
    }

    /// `key` was delivered.
    pub fn add(&self, key: &Key) {
        *self.lock().entry(key.clone()).or_default() += 1;
    }

    /// One delivery of `key` was settled, or lost with its channel.
    pub fn remove(&self, key: &Key) {
        let mut keys = self.lock();
        if let Some(count) = keys.get_mut(key.as_str()) {
            *count -= 1;
            if *count == 0 {
                keys.remove(key.as_str());
            }
        }
    }

    /// The key spelled `text`, if it is in flight.
    pub fn get(&self, text: &str) -> Option<Key> {
        self.lock().get_key_value(text).map(|(key, _)| key.clone())
    }

    /// Whether nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// All keys in flight, each once, in order.
    pub fn keys(&self) -> Vec<Key> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The `message_id`s that the harness gave to what it injected. Clones share the same set.
#[derive(Debug, Clone, Default)]
pub struct InjectedKeys(Arc<RwLock<HashSet<Key>>>);

impl InjectedKeys {
    /// Nothing injected yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Remembers `key`; to be called before the message is published.
    pub fn insert(&self, key: Key) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key);
    }

    /// The key spelled `text`, if the harness injected it.
    pub fn get(&self, text: &str) -> Option<Key> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(text)
            .cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::{InFlight, InjectedKeys};

    #[test]
    fn a_key_delivered_twice_is_in_flight_until_settled_twice() {
        let in_flight = InFlight::new();
        let seen_elsewhere = in_flight.clone();
        in_flight.add(&"7".into());
        in_flight.add(&"7".into());
        in_flight.add(&"3".into());
        in_flight.remove(&"7".into());
        assert_eq!(seen_elsewhere.keys(), ["3", "7"]);
        in_flight.remove(&"7".into());
        assert_eq!(
            (seen_elsewhere.get("7"), seen_elsewhere.get("3")),
            (None, Some("3".into()))
        );
        in_flight.remove(&"3".into());
        in_flight.remove(&"3".into());
        assert!(seen_elsewhere.is_empty());
    }

    #[test]
    fn only_injected_keys_are_known() {
        let injected = InjectedKeys::new();
        injected.clone().insert("a".into());
        assert_eq!((injected.get("a"), injected.get("b")), (Some("a".into()), None));
    }
}
