//! The box, and the registry beside it.
//!
//! The box is on the network of the engine's machine: what a deploy publishes on loopback is reached there, as on a
//! production machine, and so is the registry, which an engine takes without TLS on loopback only. It has a file system of
//! its own; of this machine it sees, read-only, the folder of the scripts and that of the stand-ins, and the engine through a
//! [`Door`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::BOX_LABEL;
use super::door::{Door, Seen};
use super::registry::Registry;
use super::trace::{self, Trace};
use crate::engine::{Engine, EngineError, Exec, ExecOutput, Machine};

/// Longest run of a few lines of the harness' own.
const SHELL: Duration = Duration::from_mins(1);
/// Programs that stand for others, then the organisation's own, then the system's.
const PATH: &str = "/stand-ins:/ops/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the box keeps what is about its scripts.
const NOTES: &str = "/run/ops";
/// Executes its arguments so that strace loses no script; without the modules and variables of the box's owner.
const NO_SEIZE: [&str; 5] = ["/usr/bin/python3", "-I", "-S", "-c", include_str!("no_seize.py")];

/// What to start.
#[derive(Debug, Clone)]
pub struct BoxSpec<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// The engine's socket on this machine.
    pub engine_socket: &'a Path,
    /// Image of the box.
    pub image: &'a str,
    /// Image of the registry; none is started without.
    pub registry: Option<&'a str>,
    /// The lease's name.
    pub lease: &'a str,
    /// The lease's labels.
    pub labels: &'a BTreeMap<String, String>,
    /// Folder for the door's socket; its path must be short.
    pub state: &'a Path,
    /// Folder that is seen as `/ops`.
    pub files: &'a Path,
    /// Folder that is seen as `/stand-ins`.
    pub stand_ins: &'a Path,
    /// The folder in which scripts run; made if it is not there.
    pub home: &'a str,
}

/// A running box.
#[derive(Debug)]
pub struct OpsBox {
    engine: Engine,
    container: String,
    registry: Option<Registry>,
    home: String,
    #[expect(dead_code, reason = "it is shut when the box is dropped")]
    door: Door,
}

/// A script to be run.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// Its file in the box, with its arguments.
    pub command: Vec<String>,
    /// Its variables.
    pub env: BTreeMap<String, String>,
    /// Longest run.
    pub within: Duration,
    /// A word that names this run among the others of the box.
    pub run: String,
}

/// What a script left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Exit code: 128 and the signal's number after a signal.
    pub code: i64,
    /// All that it wrote, both streams.
    pub out: String,
    /// Processes and files.
    pub trace: Trace,
}

/// A box that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum BoxError {
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The door.
    #[error("open {}: {cause}", socket.display())]
    Door {
        /// Its socket.
        socket: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// The registry does not answer.
    #[error("start the registry: {0}")]
    Registry(String),
    /// The box cannot do what it is for.
    #[error("prepare the ops box: {0}")]
    Prepare(String),
}

impl OpsBox {
    /// Starts the box and its registry, and waits until both can be used. `seen` is told of what is changed through the
    /// door.
    ///
    /// # Errors
    /// When one of them cannot be started.
    pub async fn start(spec: &BoxSpec<'_>, seen: Seen) -> Result<Self, BoxError> {
        let socket = spec.state.join(format!("{}.sock", spec.lease));
        let door = Door::open(
            socket.clone(),
            spec.engine_socket,
            spec.engine,
            spec.labels,
            (BOX_LABEL, spec.lease),
            seen,
        )
        .map_err(|cause| BoxError::Door { socket, cause })?;
        let machine = Machine {
            image: spec.image.to_owned(),
            name: format!("harness-{}-ops", spec.lease),
            network: "host".to_owned(),
            labels: spec.labels.clone(),
            env: BTreeMap::from([("PATH".to_owned(), PATH.to_owned())]),
            binds: vec![
                format!("{}:/var/run/docker.sock", door.socket().display()),
                format!("{}:/ops:ro", spec.files.display()),
                format!("{}:/stand-ins:ro", spec.stand_ins.display()),
            ],
            // The shell takes in what scripts leave behind when they end.
            entrypoint: ["bash", "-c", "while :; do sleep 3600; done"]
                .map(str::to_owned)
                .into(),
            on_loopback: None,
        };
        let registry = async {
            let Some(image) = spec.registry else {
                return Ok(None);
            };
            let name = format!("harness-{}-registry", spec.lease);
            let registry = Registry::start(spec.engine, image, name, spec.labels).await?;
            Ok::<_, BoxError>(Some(registry))
        };
        let container = async { Ok(spec.engine.start_machine(&machine).await?) };
        let (container, registry) = tokio::try_join!(container, registry)?;
        let started = Self {
            engine: spec.engine.clone(),
            container,
            registry,
            home: spec.home.to_owned(),
            door,
        };
        started.prepare().await?;
        Ok(started)
    }

    async fn prepare(&self) -> Result<(), BoxError> {
        let lines = format!(
            "mkdir -p '{}' {NOTES} && \"$@\" strace -f --seccomp-bpf -q -o /dev/null -e trace=execve true",
            self.home
        );
        let command = ["sh", "-c", &lines, "sh"].into_iter().chain(NO_SEIZE);
        let command = command.map(str::to_owned).collect();
        let ran = self.engine.exec_in(&self.container, &plain(command)).await?;
        if ran.code != 0 {
            let why = format!("exit code {}: {}{}", ran.code, ran.stdout, ran.stderr);
            return Err(BoxError::Prepare(why));
        }
        Ok(())
    }

    /// Id of the box's container.
    pub fn container(&self) -> &str {
        &self.container
    }

    /// Id of the registry's container.
    pub fn registry_container(&self) -> Option<&str> {
        self.registry.as_ref().map(|registry| registry.container.as_str())
    }

    /// The registry's address, as the box and the engine know it.
    pub fn registry(&self) -> Option<String> {
        self.registry.as_ref().map(Registry::address)
    }

    /// Runs a command of the harness' own, without a record.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn exec(
        &self,
        command: &[&str],
        env: &BTreeMap<String, String>,
    ) -> Result<ExecOutput, EngineError> {
        let mut exec = plain(command.iter().map(|word| (*word).to_owned()).collect());
        exec.env.clone_from(env);
        exec.dir.clone_from(&self.home);
        self.engine.exec_in(&self.container, &exec).await
    }

    /// Runs a script in the home, with a record of its processes and files.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn run(&self, script: &Script) -> Result<Ran, EngineError> {
        let record = format!("{NOTES}/{}.trace", script.run);
        let strace = ["strace", "-f", "--seccomp-bpf", "-q", "-y", "-s", "1000000", "-e"];
        let mut command: Vec<String> = NO_SEIZE.into_iter().chain(strace).map(str::to_owned).collect();
        command.push(trace::calls());
        command.extend([
            "-o".to_owned(),
            record.clone(),
            "bash".to_owned(),
            "-c".to_owned(),
        ]);
        command.push(format!(
            "echo $$ >{NOTES}/{}.pid; exec \"$0\" \"$@\" 2>&1",
            script.run
        ));
        command.extend(script.command.iter().cloned());
        let exec = Exec {
            command,
            env: script.env.clone(),
            dir: self.home.clone(),
            within: script.within,
        };
        let ended = self.engine.exec_in(&self.container, &exec).await?;
        // The script speaks on one stream only, so this is strace's own word: it has lost hold of a process, and the script
        // was cut off or went on unseen. That says nothing of the script.
        let lost = |line: &&str| line.starts_with("strace: ptrace(");
        if let Some(said) = ended.stderr.lines().find(lost) {
            return Err(self.no_record(script, format!("{said}: its record broke off")));
        }
        let read = plain(vec!["cat".to_owned(), record]);
        let read = self.engine.exec_in(&self.container, &read).await?;
        let mut trace = trace::parse(&read.stdout);
        // Without a record nobody knows what was in an argument: that must not look like nothing.
        if read.code != 0 || trace.processes.is_empty() {
            let why = format!(
                "exit code {} of the tracer: {} {}: there is no record of its processes",
                ended.code,
                ended.stderr.trim(),
                read.stderr.trim()
            );
            return Err(self.no_record(script, why));
        }
        // The first is the shell that wrote the number of the process down.
        trace.processes.remove(0);
        trace.written.retain(|path| !path.starts_with(NOTES));
        Ok(Ran {
            code: ended.code,
            out: ended.stdout + &ended.stderr,
            trace,
        })
    }

    /// A script of which is not known what it did.
    fn no_record(&self, script: &Script, why: String) -> EngineError {
        EngineError::Exec {
            container: self.container.clone(),
            command: script.command.first().cloned().unwrap_or_default(),
            cause: crate::engine::Cause::Answer(why),
        }
    }

    /// Sends a signal to a running script itself, not to its children.
    ///
    /// # Errors
    /// What the engine says; also when the script does not run.
    pub async fn signal(&self, run: &str, signal: &str) -> Result<(), EngineError> {
        let lines = format!("kill -{signal} \"$(cat {NOTES}/{run}.pid)\"");
        self.kill(run, signal, &lines).await
    }

    /// Sends a signal to a running script and to all that it has started and that runs still, which gets it first.
    ///
    /// # Errors
    /// What the engine says; also when the script does not run.
    pub async fn signal_all(&self, run: &str, signal: &str) -> Result<(), EngineError> {
        let lines = format!(
            "below() {{ local pid; for pid in $(pgrep -P \"$1\"); do below \"$pid\"; echo \"$pid\"; done; }}\n\
             script=$(cat {NOTES}/{run}.pid); others=$(below \"$script\")\n\
             kill -{signal} $others 2>/dev/null; kill -{signal} \"$script\""
        );
        self.kill(run, signal, &lines).await
    }

    /// Sends a signal by these lines.
    async fn kill(&self, run: &str, signal: &str, lines: &str) -> Result<(), EngineError> {
        let command = ["bash", "-c", lines].map(str::to_owned).into();
        let ran = self.engine.exec_in(&self.container, &plain(command)).await?;
        if ran.code != 0 {
            return Err(EngineError::Kill {
                container: run.to_owned(),
                signal: signal.to_owned(),
                cause: crate::engine::Cause::Answer(ran.stderr),
            });
        }
        Ok(())
    }

    /// SHA-256 and length of each of these paths that is a plain file now.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn digests(&self, paths: &[String]) -> Result<BTreeMap<String, (String, u64)>, EngineError> {
        let lines = "for f do if [ -f \"$f\" ]; then \
                     echo \"$(sha256sum <\"$f\" | cut -d' ' -f1) $(stat -Lc %s \"$f\") $f\"; fi; done";
        let mut command: Vec<String> = ["sh", "-c", lines, "sh"].map(str::to_owned).into();
        command.extend(paths.iter().cloned());
        let ran = self.engine.exec_in(&self.container, &plain(command)).await?;
        let lines = ran.stdout.lines().filter_map(|line| {
            let mut words = line.splitn(3, ' ');
            let (digest, bytes, path) = (words.next()?, words.next()?, words.next()?);
            Some((path.to_owned(), (digest.to_owned(), bytes.parse().ok()?)))
        });
        Ok(lines.collect())
    }

    /// Removes the box and the registry. What was made through the door goes with the lease.
    ///
    /// # Errors
    /// What the engine says.
    pub async fn remove(&self) -> Result<(), EngineError> {
        self.engine.remove_container(&self.container).await?;
        match &self.registry {
            Some(registry) => self.engine.remove_container(&registry.container).await,
            None => Ok(()),
        }
    }
}

/// A command of the harness' own.
fn plain(command: Vec<String>) -> Exec {
    Exec {
        command,
        within: SHELL,
        ..Exec::default()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::NO_SEIZE;

    /// What a process is told that asks for PTRACE_SEIZE of one that does not exist.
    fn refusal(before: &[&str]) -> String {
        let ask = "import ctypes; libc = ctypes.CDLL(None, use_errno=True); libc.ptrace.argtypes = [ctypes.c_long] * 4; \
                   print(libc.ptrace(0x4206, 0, 0, 0), ctypes.get_errno())";
        let words = [before, &["/usr/bin/python3", "-c", ask]].concat();
        let ran = Command::new(words[0]).args(&words[1..]).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap().trim().to_owned()
    }

    /// Only then strace attaches in the other way, see `no_seize.py`.
    #[test]
    fn seize_is_refused_to_all_that_is_started() {
        assert_eq!(refusal(&NO_SEIZE), "-1 5", "EIO of the filter");
        assert_eq!(refusal(&["env"]), "-1 3", "ESRCH of the kernel");
    }
}
