//! Images in the engine: look, pull, import, build, tag. Which of these is wanted when, [`crate::images`] decides.

use std::time::Duration;

use bollard::body_try_stream;
use bollard::query_parameters as query;
use futures::{Stream, StreamExt as _};
use tokio::io::AsyncReadExt as _;

use super::{CALL, Cause, Engine, EngineError, call};

/// Longest silence of the engine while it pulls, imports or builds.
const SILENCE: Duration = Duration::from_mins(2);
/// Bytes read from a file and sent to the engine at a time.
const CHUNK: usize = 256 * 1024;

/// An image that is in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalImage {
    /// Id, `sha256:` and 64 hex digits.
    pub id: String,
    /// `repository@sha256:..` of each registry it came from.
    pub repo_digests: Vec<String>,
    /// Labels of the image.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Variables of the image's environment, `NAME=value`.
    pub env: Vec<String>,
}

/// What a long operation of the engine says in between.
pub(crate) struct Message {
    /// A line for a person.
    pub(crate) text: String,
    /// Id of the finished image, in the last messages of an import or a build.
    pub(crate) id: Option<String>,
}

impl Engine {
    /// An image in the engine by reference or id; `None` if it has none.
    ///
    /// # Errors
    /// [`EngineError::InspectImage`].
    pub async fn image(&self, reference: &str) -> Result<Option<LocalImage>, EngineError> {
        match call(CALL, self.docker.inspect_image(reference)).await {
            Ok(found) => {
                let config = found.config.unwrap_or_default();
                Ok(Some(LocalImage {
                    id: found.id.unwrap_or_default(),
                    repo_digests: found.repo_digests.unwrap_or_default(),
                    labels: config.labels.unwrap_or_default().into_iter().collect(),
                    env: config.env.unwrap_or_default(),
                }))
            }
            Err(cause) if cause.is_not_found() => Ok(None),
            Err(cause) => Err(EngineError::InspectImage {
                image: reference.to_owned(),
                cause,
            }),
        }
    }

    /// Reads an image as `docker save` writes it: its configuration with its history, and its layers. How these are packed
    /// is the engine's choice.
    ///
    /// # Errors
    /// [`EngineError::InspectImage`].
    pub async fn read_image(&self, image: &str, mut take: impl FnMut(&[u8])) -> Result<(), EngineError> {
        let failed = |cause| EngineError::InspectImage {
            image: image.to_owned(),
            cause,
        };
        let mut chunks = std::pin::pin!(self.docker.export_image(image));
        loop {
            match tokio::time::timeout(SILENCE, chunks.next()).await {
                Ok(Some(Ok(chunk))) => take(&chunk),
                Ok(Some(Err(error))) => return Err(failed(error.into())),
                Ok(None) => return Ok(()),
                Err(_) => return Err(failed(Cause::Deadline(SILENCE))),
            }
        }
    }

    /// Pulls an image from its registry, without credentials. Fails at the first message after which the engine is
    /// silent for two minutes; how long a pull may take as a whole is unknown.
    pub(crate) async fn pull(&self, reference: &str, heard: impl FnMut(Message)) -> Result<(), EngineError> {
        let (name, tag) = split_reference(reference);
        let options = query::CreateImageOptionsBuilder::new()
            .from_image(name)
            .tag(tag)
            .build();
        let messages = self.docker.create_image(Some(options), None, None);
        drain(messages.map(|one| one.map(created)), heard)
            .await
            .map_err(|cause| EngineError::Pull {
                image: reference.to_owned(),
                cause,
            })
    }

    /// Makes an image without a tag from the tar file of a whole root file system. `changes` are lines as in a
    /// Dockerfile, such as `ENTRYPOINT ["/bin/sh"]`. Returns the image's id. `what` names the image in an error.
    pub(crate) async fn import(
        &self,
        what: &str,
        tar: tokio::fs::File,
        changes: Vec<String>,
    ) -> Result<String, EngineError> {
        let options = query::CreateImageOptionsBuilder::new()
            .from_src("-")
            .changes(changes)
            .build();
        let body = futures::stream::try_unfold(tar, |mut tar| async move {
            let mut chunk = Vec::with_capacity(CHUNK);
            let read = (&mut tar).take(CHUNK as u64).read_to_end(&mut chunk).await?;
            Ok((read > 0).then_some((chunk.into(), tar)))
        });
        let mut id = None;
        let messages = self
            .docker
            .create_image(Some(options), Some(body_try_stream(body)), None);
        let result = drain(messages.map(|one| one.map(created)), |message| {
            id = message.id.or(id.take());
        })
        .await;
        let failed = |cause| EngineError::Import {
            image: what.to_owned(),
            cause,
        };
        result.map_err(failed)?;
        id.ok_or_else(|| failed(Cause::Answer("the engine gives no id".to_owned())))
    }

    /// Builds an image from a context, a tar file in memory with a `Dockerfile` at its top, and tags it.
    pub(crate) async fn build(&self, tag: &str, context: Vec<u8>) -> Result<(), EngineError> {
        let options = query::BuildImageOptionsBuilder::new()
            .t(tag)
            .rm(true)
            .forcerm(true)
            .build();
        let messages = self
            .docker
            .build_image(options, None, Some(bollard::body_full(context.into())));
        let heard = messages.map(|one| match one {
            Ok(info) => match info.error_detail.and_then(|detail| detail.message) {
                Some(error) => Err(bollard::errors::Error::DockerStreamError { error }),
                None => Ok(Message {
                    text: info.stream.unwrap_or_default(),
                    id: None,
                }),
            },
            Err(error) => Err(error),
        });
        drain(heard, |_| ()).await.map_err(|cause| EngineError::Build {
            image: tag.to_owned(),
            cause,
        })
    }

    /// Takes a name from an image that has others.
    pub(crate) async fn untag(&self, name: &str) -> Result<(), EngineError> {
        let options = query::RemoveImageOptionsBuilder::new().noprune(true).build();
        let untagged = call(CALL, self.docker.remove_image(name, Some(options), None)).await;
        untagged.map(drop).map_err(|cause| EngineError::RemoveImage {
            image: name.to_owned(),
            cause,
        })
    }

    /// Gives an image a further name, `repository:tag`.
    pub(crate) async fn tag(&self, image: &str, name: &str) -> Result<(), EngineError> {
        let (repository, tag) = split_reference(name);
        let options = query::TagImageOptionsBuilder::new()
            .repo(repository)
            .tag(tag)
            .build();
        call(CALL, self.docker.tag_image(image, Some(options)))
            .await
            .map_err(|cause| EngineError::Tag {
                image: name.to_owned(),
                cause,
            })
    }
}

fn created(info: bollard::models::CreateImageInfo) -> Message {
    let status = info.status.unwrap_or_default();
    let id = status.starts_with("sha256:").then(|| status.clone());
    Message { text: status, id }
}

/// Takes all messages of a long operation.
async fn drain(
    messages: impl Stream<Item = Result<Message, bollard::errors::Error>>,
    mut heard: impl FnMut(Message),
) -> Result<(), Cause> {
    let mut messages = std::pin::pin!(messages);
    loop {
        match tokio::time::timeout(SILENCE, messages.next()).await {
            Ok(Some(message)) => heard(message?),
            Ok(None) => return Ok(()),
            Err(_) => return Err(Cause::Deadline(SILENCE)),
        }
    }
}

/// Splits `name:tag` or `name@digest`. A colon before a slash belongs to a registry's port. The tag is `latest` if
/// there is none.
pub(super) fn split_reference(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        return (name, digest);
    }
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (reference, "latest"),
    }
}

#[cfg(test)]
mod tests {
    use super::split_reference;

    #[test]
    fn a_reference_has_a_name_and_a_tag() {
        assert_eq!(split_reference("broker:4.0"), ("broker", "4.0"));
        assert_eq!(split_reference("broker"), ("broker", "latest"));
        assert_eq!(
            split_reference("registry.test:5000/broker"),
            ("registry.test:5000/broker", "latest")
        );
        assert_eq!(
            split_reference("registry.test:5000/broker:4"),
            ("registry.test:5000/broker", "4")
        );
        assert_eq!(split_reference("broker@sha256:ab"), ("broker", "sha256:ab"));
    }
}
