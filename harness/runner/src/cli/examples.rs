//! What `--help` shows below the options of commands whose arguments are few.

pub(super) const RUN: &str = "Examples:
  harness run                                  every scenario
  harness run broker:: --seed 3                those with `broker::` in their name, as of seed 3
  harness run broker::kill --rounds 20         twenty times, each time with another seed
  harness run --report junit=junit.xml         every scenario, and what became of them as JUnit

Exit codes: 0 if all have passed, 100 if a trial failed or hung, 102 if none did and nothing is
known of one, 4 if no scenario is selected; see harness --help.";

pub(super) const LIST: &str = "Examples:
  harness list                    every scenario, with a sentence about it
  harness list broker::           those with `broker::` in their name
  harness list --format json      with what they need and have to see, for programs

Exit codes: 0, also if there is none; see harness --help.";

pub(super) const IMAGES: &str = "Examples:
  harness images                           the image of each role, and where it is from
  harness images --image tags=tags:dev     with another image for one role
  harness images --images debian           built here, without a registry

Exit codes: 0 if all are there, 97 if one can neither be found nor made; see harness --help.";

pub(super) const DOCTOR: &str = "Examples:
  harness doctor                           whether scenarios can be run here
  harness doctor --topology my.toml        whether they can with another pipeline

Exit codes: 0 if they can, 97 if the engine or an image is not there; see harness --help.";

pub(super) const GC: &str = "Examples:
  harness gc                      end a pool that is idle, and remove what killed ones have left

A pool that somebody holds a lease of stays, and so does whatever the harness has not made.

Exit codes: 0 if nothing is left to remove, 97 without an engine or if something cannot be removed;
see harness --help.";

pub(super) const RECHECK: &str = "Examples:
  harness recheck target/harness/latest/broker.kill

Needs no engine: the rules look at what was stored. The exit code is that of a run with this trial;
96 if it cannot be read; see harness --help.";

pub(super) const REPRODUCE: &str = "Examples:
  harness reproduce target/harness/latest/broker.kill               once
  harness reproduce target/harness/latest/broker.kill --times 10    how often it comes out the same
  harness reproduce target/harness/latest/12/broker.kill            one of a sweep, disturbed alike

The last line says how often verdict and schedule were those of the stored trial. The exit code is
that of a run with these trials; 96 if the trial cannot be read; see harness --help.";

pub(super) const QUARANTINE: &str = "Examples:
  harness quarantine list
  harness quarantine check
  harness quarantine propose target/harness/latest/broker.kill --owner @team --issue '#12'

Exit codes: 96 for a quarantine that cannot be read, or a trial without a failure, 100 from check
for an entry that has expired; see harness --help.";

pub(super) const BENCH: &str = "Examples:
  harness bench                   everything, five times
  harness bench boot --runs 3     one measurement, three times

The machine should have nothing else to do.

Exit codes: 0 if all that is promised is kept, 100 if not, 97 without an engine, 96 for an unknown
name; see harness --help.";

pub(super) const COMPLETIONS: &str = "Examples:
  harness completions bash > ~/.local/share/bash-completion/completions/harness
  harness completions zsh > ~/.zfunc/_harness
  harness completions fish > ~/.config/fish/completions/harness.fish

Exit codes: 0, and 96 for a shell that is not known; see harness --help.";
