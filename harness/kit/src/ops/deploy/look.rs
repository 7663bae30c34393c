//! Looking at what a deploy has left: what is right, what is wrong, and by which rule.
//!
//! [`read`] asks for what is there, [`shown`] puts it into the form of goldens.

mod read;
mod shown;

use std::collections::{BTreeMap, BTreeSet};

use harness_model::name::Name;
use harness_model::ops::firewall;
use harness_model::ops::pins::{self, Pinned};
use harness_model::ops::ports::{self, Open};
use harness_model::ops::running;
use harness_model::ops::versions::{self, Expected};
use harness_model::verdict::Finding;
use harness_runner::environment::Failure;
use harness_runner::scenario::Outcome;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use self::read::parsed;
use super::{Ops, Release};
use crate::ops::{infra, judged};

/// One side of a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The override as a file.
    Override,
    /// What the override pins.
    Pins,
    /// Images from elsewhere.
    ThirdParty,
    /// What runs, against the pins.
    Digests,
    /// What services say of their build; they must agree.
    Versions,
    /// What is open, in the configuration and on the machine.
    Ports,
    /// The firewall's rules.
    Firewall,
    /// Migrations, against the starts of containers.
    Migrations,
}

/// All of them, in the order in which a person would look.
const ALL: [Look; 8] = [
    Look::Override,
    Look::Pins,
    Look::ThirdParty,
    Look::Digests,
    Look::Versions,
    Look::Ports,
    Look::Firewall,
    Look::Migrations,
];

impl Ops {
    /// All is as it should be, and every service is of this release.
    ///
    /// # Errors
    /// Fail, under the rule that is broken.
    pub async fn runs(&self, release: &Release) -> Outcome {
        for look in ALL {
            judged(self.findings(look).await?)?;
        }
        let expected = Expected {
            git_sha: Some(release.git_sha.clone()),
            apart: BTreeSet::new(),
        };
        judged(versions::agree(&self.answers().await, &expected))
    }

    /// Nothing is wrong on this side.
    ///
    /// # Errors
    /// Fail, under the rule that is broken.
    pub async fn is_good(&self, look: Look) -> Outcome {
        judged(self.findings(look).await?)
    }

    /// Something is wrong on this side by this rule, and what is said of it has these words in it.
    ///
    /// # Errors
    /// Fail if it is not noticed, or called something else.
    pub async fn is_bad(&self, look: Look, rule: &str, words: &str) -> Outcome {
        let found = self.findings(look).await?;
        let wanted = |finding: &Finding| finding.rule == rule && finding.what.contains(words);
        if found.iter().any(wanted) {
            return Ok(());
        }
        let said: Vec<_> = found
            .iter()
            .map(|finding| format!("{}: {}", finding.rule, finding.what))
            .collect();
        Err(Failure::fail(format!(
            "{look:?} should have been found to be wrong by rule {rule} with the words `{words}`, found: {said:?}"
        )))
    }

    /// The digest that each service runs, by its name.
    ///
    /// # Errors
    /// Infra when the box does not say.
    pub async fn digests(&self) -> Result<BTreeMap<String, BTreeSet<String>>, Failure> {
        let running = self.running().await?;
        let each = running.into_iter();
        Ok(each
            .map(|one| (one.service, one.container.repo_digests))
            .collect())
    }

    /// What these services run has changed since `before`, and what all others run has not.
    ///
    /// # Errors
    /// Fail, rule `running-digest`, with the services of which that is not so.
    pub async fn only_changed(&self, before: &BTreeMap<String, BTreeSet<String>>, roles: &[&str]) -> Outcome {
        let (deploy, now) = (self.deploy_of()?, self.digests().await?);
        let chosen: BTreeSet<_> = roles
            .iter()
            .map(|role| deploy.service(&Name::new(*role)).to_owned())
            .collect();
        let services: BTreeSet<_> = before.keys().chain(now.keys()).collect();
        let wrong: Vec<_> = services
            .into_iter()
            .filter(|service| (before.get(*service) != now.get(*service)) != chosen.contains(*service))
            .map(|service| {
                format!(
                    "{service} ran {:?} and runs {:?}",
                    before.get(service),
                    now.get(service)
                )
            })
            .collect();
        if wrong.is_empty() {
            return Ok(());
        }
        let what = format!(
            "expected another digest for {chosen:?} and no other: {}",
            wrong.join("; ")
        );
        Err(Failure::fail(what).rule(running::DIGEST))
    }

    /// Compose refuses the files with the override that is in force, or a rule does.
    ///
    /// # Errors
    /// Fail if nobody does.
    pub async fn is_refused(&self) -> Outcome {
        if self.compose(true).await?.is_err() || !self.findings(Look::Pins).await?.is_empty() {
            return Ok(());
        }
        Err(Failure::fail("an override that is wrong is taken").rule(pins::COMPLETE))
    }

    /// Something is wrong with the firewall rules of this file, relative to the topology's, and said with these words.
    ///
    /// # Errors
    /// Fail if it is not noticed.
    pub fn rules_are_bad(&self, file: &str, words: &str) -> Outcome {
        let found = self.firewall(file)?;
        if found.iter().any(|finding| finding.what.contains(words)) {
            return Ok(());
        }
        Err(Failure::fail(format!("nothing is said of {words} in {file}: {found:?}")).rule(firewall::POLICY))
    }

    /// Layers a file over those of the platform, in the place of the override that is in force.
    ///
    /// # Errors
    /// Infra when the box does not take it.
    pub async fn replace_override(&self, change: impl Fn(&str) -> String) -> Outcome {
        let (_, text) = self.override_text().await?;
        let name = self.deploy_of()?.overrides.replace('*', "99991231T235959Z");
        self.write(&name, &change(&text)).await?;
        let current = &self.deploy_of()?.current;
        let ran = self
            .shell_with("ln -sfn \"$TO\" \"$LINK\"", &[("TO", &name), ("LINK", current)])
            .await?;
        if ran.code == 0 {
            Ok(())
        } else {
            Err(infra(ran.out))
        }
    }

    /// What is wrong on one side.
    pub(crate) async fn findings(&self, look: Look) -> Result<Vec<Finding>, Failure> {
        let today = today();
        Ok(match look {
            Look::Override => {
                let (file, text) = self.override_text().await?;
                let config = match self.compose(true).await? {
                    Ok(json) => Ok(parsed(&json)?),
                    Err(said) => Err(said),
                };
                let said = config.as_ref().map_err(String::as_str);
                pins::parses(&file, &text, said)
            }
            Look::Pins => {
                let (file, _) = self.override_text().await?;
                let (base, merged) = (self.config(false).await?, self.config(true).await?);
                pins::complete(&Pinned {
                    file: &file,
                    base: &base,
                    merged: &merged,
                    internal: &self.internal()?,
                })
            }
            Look::ThirdParty => {
                let merged = self.config(true).await?;
                pins::third_party(&merged, &self.policy()?.images, &self.internal()?, today)
            }
            Look::Digests => running::digests(&self.config(true).await?, &self.running().await?),
            Look::Versions => versions::agree(&self.answers().await, &Expected::default()),
            Look::Ports => {
                let (config, allowed) = (self.config(true).await?, self.policy()?.ports);
                let mut found = ports::mappings(&config, &allowed, today);
                let mut open = Open::of_config(&config);
                open.extend(self.open().await?);
                found.extend(ports::policy(&allowed, &open, today));
                found
            }
            Look::Firewall => match &self.deploy_of()?.firewall {
                Some(file) => self.firewall(file)?,
                None => Vec::new(),
            },
            Look::Migrations => self.migrations().await?,
        })
    }
}

/// The day it is, in UTC.
fn today() -> Date {
    TimeZone::UTC.to_datetime(Timestamp::now()).date()
}
