//! The engine as the ops box sees it.
//!
//! The box's `docker.sock` leads here, and from here to the engine. On the way
//!
//! - containers, networks, volumes and images that are made get the lease's labels, so that they go with the lease, also
//!   after a SIGKILL of the trial, whatever client or Compose project made them;
//! - lists show, and prunes remove, only what the box has made, as on a machine of its own;
//! - a change of anything else is refused with 403, and so are its volumes in a new container, and a name of an image that is
//!   somebody else's, also by a pull: other people share the engine. So are a load and a pull of all tags, of which nobody
//!   can tell beforehand which names they give;
//! - each request that changes something is told to the caller before its answer is passed on.
//!
//! Each connection carries one request; the client then dials again. Requests that become something else (attach, exec) are
//! passed through both ways. This is no security boundary: a container may be made that mounts the engine's own socket.
//! Images that are pulled are labelled by who pushed them, not here.

mod owned;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use self::owned::Owned;
use super::request::{Kind, Object, Request, connected, label_body, named_volumes, volumes_from};
use crate::engine::Engine;

/// Most bytes of a request's head.
const HEAD: usize = 64 << 10;
/// Most bytes of a body that makes something.
const BODY: usize = 4 << 20;

/// How long what follows a refused request is heard out.
const REST: Duration = Duration::from_secs(1);

/// Told of each request that changes something: what it is, and the status of its answer.
pub type Seen = Arc<dyn Fn(String, u16) + Send + Sync>;

/// An open door; it is shut when this is dropped.
#[derive(Debug)]
pub struct Door {
    socket: PathBuf,
    task: JoinHandle<()>,
}

struct Hall {
    /// The engine's own socket.
    to: PathBuf,
    engine: Engine,
    owned: Owned,
    seen: Seen,
}

impl Door {
    /// Opens a door at `socket` to the engine at `to`.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn open(
        socket: PathBuf,
        to: &Path,
        engine: &Engine,
        labels: &BTreeMap<String, String>,
        mine: (&str, &str),
        seen: Seen,
    ) -> io::Result<Self> {
        let listener = UnixListener::bind(&socket)?;
        let mine = BTreeMap::from([(mine.0.to_owned(), mine.1.to_owned())]);
        let hall = Arc::new(Hall {
            to: to.to_owned(),
            engine: engine.clone(),
            owned: Owned::new(labels.clone(), mine),
            seen,
        });
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let hall = Arc::clone(&hall);
                tokio::spawn(async move {
                    if let Err(error) = hall.serve(client).await {
                        tracing::debug!("a request from the ops box: {error}");
                    }
                });
            }
        });
        Ok(Self { socket, task })
    }

    /// Where it is.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
        drop(std::fs::remove_file(&self.socket));
    }
}

impl Hall {
    async fn serve(&self, mut client: UnixStream) -> io::Result<()> {
        let Some((head, mut body)) = head(&mut client).await? else {
            return Ok(());
        };
        let Some(mut request) = Request::parse(&head) else {
            return answer(&mut client, 400, "this is no request").await;
        };
        let kind = request.kind();
        if let Some(why) = self.refused(&kind, &request).await {
            (self.seen)(request.call(), 403);
            return answer(&mut client, 403, &why).await;
        }
        match kind {
            Kind::Narrow => request.narrow(&self.owned.mine),
            Kind::Build => request.label_build(&self.owned.labels),
            Kind::Import => request.label_import(&self.owned.labels),
            Kind::Make | Kind::Join(_) => {
                if let Err((status, why)) = self.take(&mut client, &mut request, &mut body, &kind).await? {
                    (self.seen)(request.call(), status);
                    return answer(&mut client, status, &why).await;
                }
            }
            _ => {}
        }
        let changes = !matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS");
        if request.header("upgrade").is_none() {
            request.set_header("Connection", "close");
        }
        let mut engine = UnixStream::connect(&self.to).await?;
        engine.write_all(request.head().as_bytes()).await?;
        engine.write_all(&body).await?;
        let call = changes.then(|| request.call());
        self.pass(client, engine, call).await
    }

    /// Takes the whole body of a request that makes something or joins it, looks whose the things are that it names, and
    /// gives what is made the labels. Else the status and words of the answer.
    async fn take(
        &self,
        client: &mut UnixStream,
        request: &mut Request,
        body: &mut Vec<u8>,
        kind: &Kind,
    ) -> io::Result<Result<(), (u16, String)>> {
        let refuse = |status, why: &str| Ok(Err((status, why.to_owned())));
        let length = request
            .header("content-length")
            .and_then(|text| text.parse().ok());
        let Some(length) = length.filter(|length| *length <= BODY) else {
            return refuse(411, "the ops box needs the length of what is made");
        };
        while body.len() < length {
            if client.read_buf(body).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        let (mut used, mut volumes) = (Vec::new(), Vec::new());
        if matches!(kind, Kind::Join(_)) {
            used.extend(connected(body).map(Object::Container));
        } else if request.path == "/containers/create" {
            volumes = named_volumes(body);
            used.extend(volumes.iter().cloned().map(Object::Volume));
            used.extend(volumes_from(body).into_iter().map(Object::Container));
        }
        for object in used {
            if let Some(why) = self.foreign(&object, request).await {
                return Ok(Err((403, why)));
            }
        }
        for volume in volumes {
            if let Err(error) = self.engine.create_volume(&volume, &self.owned.labels).await {
                return refuse(500, &error.to_string());
            }
        }
        if matches!(kind, Kind::Make) {
            let Some(labelled) = label_body(body, &self.owned.labels) else {
                return refuse(400, "the body is no JSON object");
            };
            *body = labelled;
            request.set_header("Content-Length", &body.len().to_string());
        }
        Ok(Ok(()))
    }

    /// Passes the rest both ways, until the engine has said all.
    async fn pass(&self, client: UnixStream, engine: UnixStream, call: Option<String>) -> io::Result<()> {
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_engine, mut to_engine) = engine.into_split();
        let asking = async {
            tokio::io::copy(&mut from_client, &mut to_engine).await?;
            to_engine.shutdown().await?;
            // The client may have no more to say and still listen.
            std::future::pending::<io::Result<()>>().await
        };
        let answering = async {
            let mut first = vec![0; 16 << 10];
            let read = from_engine.read(&mut first).await?;
            if let Some(call) = call {
                (self.seen)(call, status(&first[..read]));
            }
            to_client.write_all(&first[..read]).await?;
            tokio::io::copy(&mut from_engine, &mut to_client).await?;
            to_client.shutdown().await
        };
        tokio::select! {
            asked = asking => asked,
            answered = answering => answered,
        }
    }

    /// Why a request is not let through.
    async fn refused(&self, kind: &Kind, request: &Request) -> Option<String> {
        match kind {
            Kind::Refuse(why) => return Some(format!("{} {why}: it is not for an ops box", request.call())),
            Kind::Change(object) | Kind::Join(object) => {
                if let Some(why) = self.foreign(object, request).await {
                    return Some(why);
                }
            }
            _ => {}
        }
        for name in request.names() {
            if let Some(why) = self.foreign(&Object::Image(name.clone()), request).await {
                return Some(why);
            }
            self.owned.give(&name);
        }
        None
    }

    /// Why a request may not use something: it is there, and was not made through this door.
    async fn foreign(&self, what: &Object, request: &Request) -> Option<String> {
        match self.labels_of(what).await {
            Ok(Some(labels)) if !self.owned.has(what, &labels) => Some(format!(
                "{} is about something that this ops box has not made: {what}",
                request.call()
            )),
            // The engine itself says that there is no such thing.
            Ok(_) => None,
            Err(error) => Some(error),
        }
    }

    async fn labels_of(&self, object: &Object) -> Result<Option<BTreeMap<String, String>>, String> {
        let found = match object {
            Object::Container(id) => self.engine.container_labels(id).await,
            Object::Network(id) => self.engine.network_labels(id).await,
            Object::Volume(name) => self.engine.volume_labels(name).await,
            Object::Image(name) => {
                let image = self.engine.image(name).await;
                image.map(|image| image.map(|image| image.labels))
            }
        };
        found.map_err(|error| error.to_string())
    }
}

/// The head of a request without its empty line, and what was read of its body; none if nothing came.
async fn head(client: &mut UnixStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut read = Vec::new();
    loop {
        if let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let body = read.split_off(end + 4);
            read.truncate(end);
            return Ok(Some((String::from_utf8_lossy(&read).into_owned(), body)));
        }
        if read.len() > HEAD || client.read_buf(&mut read).await? == 0 {
            return Ok(None);
        }
    }
}

/// The status of an answer that begins so; 0 if it is none.
fn status(first: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(&first[..first.len().min(16)]).into_owned();
    let word = text.split(' ').nth(1).map(str::to_owned);
    word.and_then(|word| word.parse().ok()).unwrap_or_default()
}

/// An answer of the door's own, in the engine's form.
async fn answer(client: &mut UnixStream, status: u16, why: &str) -> io::Result<()> {
    let body = serde_json::json!({"message": why}).to_string();
    let head = format!(
        "HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    client.write_all(head.as_bytes()).await?;
    client.write_all(body.as_bytes()).await?;
    client.shutdown().await?;
    // One that is still speaking would hear of a broken pipe and not of this.
    let mut nowhere = tokio::io::sink();
    let rest = tokio::time::timeout(REST, tokio::io::copy(client, &mut nowhere));
    rest.await.map_or(Ok(()), |copied| copied.map(drop))
}
