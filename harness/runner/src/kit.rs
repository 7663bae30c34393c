//! What a front end needs from whoever brings the scenarios.

use std::io::Write;

use camino::Utf8PathBuf;
use harness_model::grid::{Course, Point};
use harness_model::perturbation::Axis;
use harness_model::topology::Topology;
use jiff::Timestamp;

use crate::check::{Check, Checked};
use crate::config::{Settings, UnderTest};
use crate::environment::Environment;
use crate::exit::{Exit, Refusal};
use crate::scenario::Scenario;
use crate::trial::Judge;

/// A catalogue, and the environment that its scenarios run in.
pub trait Kit: Send + Sync + 'static {
    /// The environment.
    type Environment: Environment;

    /// All scenarios. Cheap: it is asked for by every listing.
    fn catalogue(&self) -> &'static [Scenario<CxOf<Self>>];

    /// The judge of every trial.
    fn judge(&self) -> Judge;

    /// Whether there is an engine, as far as that can be told without talking to it: at most the existence of a
    /// socket is looked at. The error says what was looked for.
    fn available(&self, settings: &Settings) -> Result<(), String>;

    /// The file with the scenarios in quarantine: the one that was given, else the catalogue's own, if it has one.
    fn quarantine(&self, settings: &Settings) -> Option<Utf8PathBuf> {
        settings.quarantine.clone()
    }

    /// Brings up what all trials of the run share. It must not outlast an interruption: the future is dropped.
    fn environment(&self, settings: &Settings) -> impl Future<Output = Result<Self::Environment, Refusal>>;
}

/// What a scenario of this kit works with.
pub type CxOf<K> = <<K as Kit>::Environment as Environment>::Cx;

/// The phase in which a pipeline stands that was asked to; see [`Commands::stand`].
pub const UP: &str = "up";

/// The file in the trial's folder that says where everything is, once [`UP`] has begun.
pub const ADDRESSES: &str = "addresses.txt";

/// Commands of the command line that need the world. Everything they have to say goes to `out`.
pub trait Commands: Kit {
    /// What its environment can vary from trial to trial.
    fn axes(&self) -> &'static [Axis];

    /// The folder that goldens lie below.
    fn sources(&self) -> Utf8PathBuf;

    /// The description of what is tested, as it will be run.
    fn topology(&self, settings: &Settings) -> Result<Topology, Refusal>;

    /// One environment for each of these, which differ in nothing but what services are given and which
    /// scripts are run ([`UnderTest::env`], [`UnderTest::scripts`]), so that images are resolved once. It must not outlast an interruption: the future is dropped.
    fn environments(
        &self,
        settings: &Settings,
        variants: &[UnderTest],
    ) -> impl Future<Output = Result<Vec<Self::Environment>, Refusal>>;

    /// The catalogues of planted bugs that are read when none is named.
    fn bug_catalogues(&self) -> Result<Vec<Utf8PathBuf>, Refusal>;

    /// The naive check that planted bugs have to survive. It says by its body alone what it sees.
    fn baseline(&self) -> Scenario<CxOf<Self>>;

    /// A scenario in which nothing is disturbed, and the first report takes this course through its queues.
    fn survey(&self, course: Course) -> Scenario<CxOf<Self>>;

    /// The scenario of a point of the crash grid.
    fn point(&self, point: &Point) -> Scenario<CxOf<Self>>;

    /// A scenario whose body writes [`ADDRESSES`], begins the phase [`UP`] and waits until it is interrupted.
    fn stand(&self) -> Scenario<CxOf<Self>>;

    /// Shows how each role's image is resolved, and makes it available.
    fn images(&self, settings: &Settings, out: &mut dyn Write)
    -> impl Future<Output = Result<Exit, Refusal>>;

    /// Checks engine, images and host, and says what to do about each thing that is missing.
    fn doctor(&self, settings: &Settings, out: &mut dyn Write)
    -> impl Future<Output = Result<Exit, Refusal>>;

    /// Looks at a platform as it is at `now`, and changes nothing. An endpoint that does not answer is a finding; a file
    /// that cannot be read is a refusal.
    fn check(
        &self,
        settings: &Settings,
        asked: &Check,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Checked>, Refusal>>;

    /// Removes what earlier runs left behind, by run label only.
    fn gc(&self, settings: &Settings, out: &mut dyn Write) -> impl Future<Output = Result<Exit, Refusal>>;

    /// Runs the named measurements (all, without names), each `runs` times.
    fn bench(
        &self,
        settings: &Settings,
        names: &[String],
        runs: u32,
        out: &mut dyn Write,
    ) -> impl Future<Output = Result<Exit, Refusal>>;

    /// Serves the pool in this process until nobody needs it any more. Started by the harness itself, with arguments
    /// that only it knows.
    fn pool_server(
        &self,
        settings: &Settings,
        args: &[String],
    ) -> impl Future<Output = Result<Exit, Refusal>>;
}
