//! Single queues, exchanges, bindings and policies of a virtual host: breaking them, and looking whether they are there.
//!
//! Names are the broker's. What is asked here is answered from the broker's own tables, not from its statistics, so it is
//! exact at once; the number of messages, which is a statistic there, is asked over AMQP.

use std::net::SocketAddr;

use rabbitmq_http_client::api::HttpClientError;
use rabbitmq_http_client::requests::{BindingDeletionParams, QueueParams};
use rabbitmq_http_client::responses::BindingInfo;
use serde_json::{Map, Value, json};

use super::broker::{AdminError, BrokerAdmin, failed};
use crate::backend::AMQP_PORT;

/// What a queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFacts {
    /// It survives a restart of the broker.
    pub durable: bool,
    /// `classic`, `quorum` or `stream`.
    pub kind: String,
    /// The arguments it was declared with.
    pub arguments: Map<String, Value>,
}

impl BrokerAdmin {
    /// Deletes a queue with its messages and bindings; its consumers are cancelled. It is no error if it is not there.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn delete_queue(&self, vhost: &str, name: &str) -> Result<(), AdminError> {
        let deleted = self.client.delete_queue(vhost, name, true).await;
        deleted.map_err(|error| failed(format!("delete queue {name}"), &error))
    }

    /// Throws the ready messages of a queue away and returns how many there were, as the broker counts them while it
    /// does so.
    ///
    /// # Errors
    /// When the broker refuses or has no such queue.
    pub async fn purge_queue(&self, vhost: &str, name: &str) -> Result<u64, AdminError> {
        let broker = &self.broker;
        let addr = SocketAddr::new(broker.ip, AMQP_PORT);
        crate::client::purge(addr, &broker.user, &broker.password, vhost, name)
            .await
            .map_err(|error| AdminError::new(format!("purge queue {name}"), &error))
    }

    /// What a queue is, if it is there.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn queue_exists(&self, vhost: &str, name: &str) -> Result<Option<QueueFacts>, AdminError> {
        let found = self.client.get_queue_info(vhost, name).await;
        let found = present(found, || format!("look for queue {name}"))?;
        Ok(found.map(|found| QueueFacts {
            durable: found.durable,
            kind: found.queue_type,
            arguments: found.arguments.0,
        }))
    }

    /// Puts another queue in the place of a queue, with an argument that no service declares (a length limit that is
    /// never reached), so that a service that declares its own is refused with 406. The right one is deleted first.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn declare_other(&self, vhost: &str, name: &str) -> Result<(), AdminError> {
        self.delete_queue(vhost, name).await?;
        let mut arguments = Map::new();
        arguments.insert("x-max-length".to_owned(), json!(1_000_000));
        let params = QueueParams::new_durable_classic_queue(name, Some(arguments));
        let declared = self.client.declare_queue(vhost, &params).await;
        declared.map_err(|error| failed(format!("declare another queue {name}"), &error))
    }

    /// Deletes an exchange with all bindings to it. It is no error if it is not there.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn delete_exchange(&self, vhost: &str, name: &str) -> Result<(), AdminError> {
        let deleted = self.client.delete_exchange(vhost, name, true).await;
        deleted.map_err(|error| failed(format!("delete exchange {name}"), &error))
    }

    /// Whether an exchange is there.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn exchange_exists(&self, vhost: &str, name: &str) -> Result<bool, AdminError> {
        let found = self.client.get_exchange_info(vhost, name).await;
        Ok(present(found, || format!("look for exchange {name}"))?.is_some())
    }

    /// Removes all bindings of a queue but the default one, which nobody can remove. Returns how many there were.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn unbind_all(&self, vhost: &str, queue: &str) -> Result<usize, AdminError> {
        let bindings = self.bindings_of(vhost, queue).await?;
        for binding in &bindings {
            let params = BindingDeletionParams::from_binding_info(binding);
            let deleted = self.client.delete_binding(&params, true).await;
            deleted
                .map_err(|error| failed(format!("unbind queue {queue} from {}", binding.source), &error))?;
        }
        Ok(bindings.len())
    }

    /// The number of bindings of a queue without the default one; a queue that is not there has none.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn bindings(&self, vhost: &str, queue: &str) -> Result<usize, AdminError> {
        self.bindings_of(vhost, queue)
            .await
            .map(|bindings| bindings.len())
    }

    async fn bindings_of(&self, vhost: &str, queue: &str) -> Result<Vec<BindingInfo>, AdminError> {
        let mut bindings = self
            .client
            .list_queue_bindings(vhost, queue)
            .await
            .map_err(|error| failed(format!("list the bindings of queue {queue}"), &error))?;
        bindings.retain(|binding| !binding.source.is_empty());
        Ok(bindings)
    }

    /// Deletes a policy. It is no error if it is not there.
    ///
    /// # Errors
    /// When the broker refuses.
    pub async fn delete_policy(&self, vhost: &str, name: &str) -> Result<(), AdminError> {
        let deleted = self.client.delete_policy(vhost, name, true).await;
        deleted.map_err(|error| failed(format!("delete policy {name}"), &error))
    }

    /// Whether a policy is there.
    ///
    /// # Errors
    /// When the broker does not answer.
    pub async fn policy_exists(&self, vhost: &str, name: &str) -> Result<bool, AdminError> {
        let found = self.client.get_policy(vhost, name).await;
        Ok(present(found, || format!("look for policy {name}"))?.is_some())
    }
}

/// The answer to a question after something that need not be there.
fn present<T>(
    answer: Result<T, HttpClientError>,
    what: impl FnOnce() -> String,
) -> Result<Option<T>, AdminError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(failed(what(), &error)),
    }
}
