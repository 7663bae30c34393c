//! Live checks: what can be asked of a platform as it is, and what comes of it.
//!
//! Nothing here looks at anything; whoever brings the world does, see [`Commands::check`](crate::kit::Commands::check).

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use harness_model::verdict::Finding;

/// What is checked.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Check {
    /// Pins, running digests, versions and published ports of a deploy
    Deploy(DeployCheck),
    /// Freshness, metadata and archive of a backup
    Backup(BackupCheck),
    /// Published ports, listening sockets and firewall rules against the policy
    Ports(PortsCheck),
}

/// Which configuration is looked at, and how Compose is asked for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct ComposeFiles {
    /// Compose file, as production layers them; can be given several times
    #[arg(long = "compose", value_name = "FILE", required = true, num_args = 1..)]
    pub files: Vec<Utf8PathBuf>,
    /// Name of the Compose project [default: what Compose derives]
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
    /// Image that has Compose, for a machine that has none
    #[arg(long, value_name = "REF")]
    pub compose_image: Option<String>,
}

/// What is asked of a deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(after_long_help = "Examples:\n  \
    harness check deploy --compose docker-compose.yml\n  \
    harness check deploy --compose docker-compose.yml --pins digests.current.yml --policy p.toml\n  \
    harness check deploy --compose docker-compose.yml --versions http://127.0.0.1:8081/version\n\n\
    Nothing is changed. Exit codes: 0 if all is as it should be, 100 if something is not, 96 if a file cannot be read or \
    Compose refuses the files below the override, 97 if there is no Compose or an engine cannot be asked; see harness \
    --help.")]
pub struct DeployCheck {
    /// The configuration
    #[command(flatten)]
    pub compose: ComposeFiles,
    /// The override that pins images, layered last
    #[arg(long, value_name = "FILE")]
    pub pins: Option<Utf8PathBuf>,
    /// Policy for ports and images, in TOML
    #[arg(long, value_name = "FILE")]
    pub policy: Option<Utf8PathBuf>,
    /// What the references of internal images begin with [default: that of the policy, else every image has to be pinned]
    #[arg(long, value_name = "PREFIX")]
    pub internal: Option<String>,
    /// Address that answers with a version; can be given several times
    #[arg(long, value_name = "URL", num_args = 1..)]
    pub versions: Vec<String>,
    /// The commit that all of them should run [default: any that is the same]
    #[arg(long, value_name = "SHA")]
    pub git_sha: Option<String>,
}

/// What is asked of a backup.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(after_long_help = "Examples:\n  \
    harness check backup --log /var/log/backup.log --env prod\n  \
    harness check backup --log backup.log --object all.sql.gz --metadata all.metadata.json\n  \
    harness check backup --log backup.log --object all.sql.gz --metadata all.metadata.json --drill\n  \
    harness check backup --log backup.log --now 2026-11-24T09:00:00Z     as it was then\n\n\
    Nothing is changed; what --drill restores is thrown away. Exit codes: 0 if all is as it should be, 100 if something is \
    not (a log that is not there is), 96 if a file cannot be read, 97 if a drill has no engine; see harness --help.")]
pub struct BackupCheck {
    /// Log of the backups
    #[arg(long, value_name = "FILE")]
    pub log: Utf8PathBuf,
    /// The environment whose backups are looked for
    #[arg(long, value_name = "NAME", default_value = "prod")]
    pub env: String,
    /// The dump, compressed by gzip
    #[arg(long, value_name = "FILE")]
    pub object: Option<Utf8PathBuf>,
    /// What the backup says of itself
    #[arg(long, value_name = "FILE")]
    pub metadata: Option<Utf8PathBuf>,
    /// Also restore the dump, into a database on this machine's engine that is thrown away, and count its rows
    #[arg(long, requires = "object", requires = "metadata")]
    pub drill: bool,
}

/// What is asked of ports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
#[command(after_long_help = "Examples:\n  \
    harness check ports --compose docker-compose.yml\n  \
    harness check ports --compose docker-compose.yml --policy policy.toml --rules firewall.json\n  \
    ss -H -ltn > sockets; harness check ports --compose docker-compose.yml --sockets sockets\n\n\
    Rules are read as `gcloud compute firewall-rules list --format=json`, `iptables-save` or `ufw status` print them. \
    Nothing is changed. Exit codes: 0 if all is as it should be, 100 if something is not, 96 if a file cannot be read, 97 if \
    there is no Compose or an engine cannot be asked; see harness --help.")]
pub struct PortsCheck {
    /// The configuration
    #[command(flatten)]
    pub compose: ComposeFiles,
    /// Policy for ports, in TOML [default: 22, 80 and 443 are public]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<Utf8PathBuf>,
    /// Firewall rules
    #[arg(long, value_name = "FILE")]
    pub rules: Option<Utf8PathBuf>,
    /// Listening sockets, as `ss -H -ltn` prints them or as they stand in /proc/net [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    pub sockets: Option<Utf8PathBuf>,
}

/// What came of one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The rule.
    pub rule: &'static str,
    /// What was looked at, or why nothing was.
    pub looked_at: String,
    /// What is wrong; absent if nothing was looked at.
    pub findings: Option<Vec<Finding>>,
    /// Something of what was asked for could not be looked at, so that no findings do not mean that all is well.
    pub missed: bool,
    /// What is worth knowing and not wrong.
    pub notes: Vec<String>,
}

impl Checked {
    /// The rule was asked about this.
    pub fn of(rule: &'static str, looked_at: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self {
            rule,
            looked_at: looked_at.into(),
            findings: Some(findings),
            missed: false,
            notes: Vec::new(),
        }
    }

    /// The rule was not asked, for this reason.
    pub fn skipped(rule: &'static str, why: impl Into<String>) -> Self {
        Self {
            rule,
            looked_at: why.into(),
            findings: None,
            missed: false,
            notes: Vec::new(),
        }
    }

    /// The same, with something that was asked for and could not be looked at.
    #[must_use]
    pub fn missing(mut self, why: impl std::fmt::Display) -> Self {
        self.missed = true;
        self.notes
            .push(format!("{} is not checked in full: {why}", self.rule));
        self
    }

    /// The same, with something that is worth knowing.
    #[must_use]
    pub fn noting(mut self, notes: impl IntoIterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }
}
