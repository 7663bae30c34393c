//! What can go wrong with the engine, one variant for each operation.

use std::time::Duration;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The engine refused, or the connection broke.
    #[error("{}", message(.0))]
    Api(#[from] bollard::errors::Error),
    /// No answer in time.
    #[error("no answer from the engine within {} s", .0.as_secs())]
    Deadline(Duration),
    /// The engine's answer lacks what was asked for.
    #[error("{0}")]
    Answer(String),
}

/// A failed operation of the engine. The text is a fragment that names operation, object and cause.
#[derive(Debug, thiserror::Error)]
#[expect(
    missing_docs,
    reason = "each variant is the operation that its text says, with its object and its cause"
)]
pub enum EngineError {
    #[error("connect to the container engine: {cause}{}", hint(cause))]
    Connect { cause: Cause },
    #[error("ask the engine for its version: {cause}")]
    Version { cause: Cause },
    #[error("start container {container}: {cause}")]
    Start { container: String, cause: Cause },
    #[error("stop container {container}: {cause}")]
    Stop { container: String, cause: Cause },
    #[error("send {signal} to container {container}: {cause}")]
    Kill {
        container: String,
        signal: String,
        cause: Cause,
    },
    #[error("pause container {container}: {cause}")]
    Pause { container: String, cause: Cause },
    #[error("resume container {container}: {cause}")]
    Resume { container: String, cause: Cause },
    #[error("inspect container {container}: {cause}")]
    Inspect { container: String, cause: Cause },
    #[error("wait for the end of container {container}: {cause}")]
    WaitExit { container: String, cause: Cause },
    #[error("run `{command}` in container {container}: {cause}")]
    Exec {
        container: String,
        command: String,
        cause: Cause,
    },
    #[error("read the log of container {container}: {cause}")]
    Logs { container: String, cause: Cause },
    #[error("remove container {container}: {cause}")]
    RemoveContainer { container: String, cause: Cause },
    #[error("change the limits of container {container}: {cause}")]
    Limit { container: String, cause: Cause },
    #[error("create network {network}: {cause}")]
    CreateNetwork { network: String, cause: Cause },
    #[error("inspect network {network}: {cause}")]
    InspectNetwork { network: String, cause: Cause },
    #[error("remove network {network}: {cause}")]
    RemoveNetwork { network: String, cause: Cause },
    #[error(
        "network {network}: no container is on it and still the engine keeps it as in use, until it is restarted"
    )]
    KeptNetwork { network: String },
    #[error("remove volume {volume}: {cause}")]
    RemoveVolume { volume: String, cause: Cause },
    #[error("list {what}: {cause}")]
    List { what: &'static str, cause: Cause },
    #[error("follow the engine's events: {cause}")]
    Events { cause: Cause },
    #[error("inspect image {image}: {cause}")]
    InspectImage { image: String, cause: Cause },
    #[error("pull image {image}: {cause}")]
    Pull { image: String, cause: Cause },
    #[error("import image {image}: {cause}")]
    Import { image: String, cause: Cause },
    #[error("build image {image}: {cause}")]
    Build { image: String, cause: Cause },
    #[error("tag image {image}: {cause}")]
    Tag { image: String, cause: Cause },
    #[error("make container {container}: {cause}")]
    Create { container: String, cause: Cause },
    #[error("create volume {volume}: {cause}")]
    CreateVolume { volume: String, cause: Cause },
    #[error("make an image of container {container}: {cause}")]
    Commit { container: String, cause: Cause },
    #[error("push image {image}: {cause}")]
    Push { image: String, cause: Cause },
    #[error("remove image {image}: {cause}")]
    RemoveImage { image: String, cause: Cause },
}

impl EngineError {
    /// There is no engine on this machine, as opposed to one that does not answer or does not let us in.
    pub fn is_absent(&self) -> bool {
        let Self::Connect { cause } = self else {
            return false;
        };
        matches!(cause, Cause::Api(bollard::errors::Error::SocketNotFoundError(_)))
    }
}

impl Cause {
    /// Whether the engine does not know the object.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// The engine's HTTP status, if it answered.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Api(bollard::errors::Error::DockerResponseServerError { status_code, .. }) => {
                Some(*status_code)
            }
            _ => None,
        }
    }
}

/// The engine's own words, without the client's wrapping.
fn message(error: &bollard::errors::Error) -> String {
    use bollard::errors::Error;
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => {
            let mut text = other.to_string();
            let mut source = std::error::Error::source(other);
            while let Some(inner) = source {
                let inner_text = inner.to_string();
                if !text.contains(&inner_text) {
                    text = format!("{text}: {inner_text}");
                }
                source = inner.source();
            }
            text
        }
    }
}

/// What a person can do about an engine that does not answer.
fn hint(cause: &Cause) -> &'static str {
    let text = cause.to_string().to_lowercase();
    if text.contains("permission denied") {
        " (hint: this user may not use the engine's socket; join its group, often `docker`, or run as root)"
    } else if text.contains("scheme is not supported") {
        " (hint: DOCKER_HOST must begin with unix://, tcp:// or http://)"
    } else {
        " (hint: is the engine running? it is looked for at DOCKER_HOST, else at the local socket)"
    }
}

#[cfg(test)]
mod tests {
    use super::{Cause, EngineError};
    use bollard::errors::Error;
    use std::time::Duration;

    #[test]
    fn an_error_names_operation_object_and_cause() {
        let cause = Cause::Api(Error::DockerResponseServerError {
            status_code: 404,
            message: "No such container: b1".to_owned(),
        });
        assert!(cause.is_not_found());
        let error = EngineError::Kill {
            container: "b1".to_owned(),
            signal: "SIGKILL".to_owned(),
            cause,
        };
        assert_eq!(
            error.to_string(),
            "send SIGKILL to container b1: No such container: b1"
        );
    }

    #[test]
    fn an_engine_that_is_not_there_is_not_one_that_does_not_answer() {
        let connect = |cause| EngineError::Connect { cause };
        assert!(connect(Cause::Api(Error::SocketNotFoundError("/x".to_owned()))).is_absent());
        assert!(!connect(Cause::Deadline(Duration::from_secs(5))).is_absent());
        assert!(!connect(Cause::Answer("permission denied".to_owned())).is_absent());
    }

    #[test]
    fn an_engine_that_does_not_answer_comes_with_a_hint() {
        let error = EngineError::Connect {
            cause: Cause::Deadline(Duration::from_secs(5)),
        };
        assert_eq!(
            error.to_string(),
            "connect to the container engine: no answer from the engine within 5 s (hint: is the engine running? it is \
             looked for at DOCKER_HOST, else at the local socket)"
        );
        let refused = Cause::Answer("Permission denied (os error 13)".to_owned());
        let error = EngineError::Connect { cause: refused };
        assert!(
            error
                .to_string()
                .ends_with("join its group, often `docker`, or run as root)"),
            "{error}"
        );
    }
}
