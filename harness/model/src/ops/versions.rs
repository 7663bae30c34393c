//! What services answer at `/version`: the commit that each was built from.
//!
//! Rule `versions-agree`: each answers, says its service, a `git_sha` of 12 hexadecimal digits and a `build_time` in UTC,
//! and the commit is the expected one, or at least the same everywhere. Services that may lag behind are named.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::fail;
use crate::verdict::Finding;

/// Services say the same commit.
pub const AGREE: &str = "versions-agree";

/// Digits of a commit.
const SHA: usize = 12;

/// What one endpoint said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who was asked: a service's name, or the address.
    pub of: String,
    /// What it should say that it is; absent if anything will do.
    pub service: Option<String>,
    /// The body of its answer, or why there is none.
    pub body: Result<String, String>,
}

/// What is expected of all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The commit; absent if any will do that is the same for all.
    pub git_sha: Option<String>,
    /// Those (by [`Answer::of`]) whose commit may be another one.
    pub apart: BTreeSet<String>,
}

/// Rule `versions-agree`.
pub fn agree(answers: &[Answer], expected: &Expected) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut commits: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for answer in answers {
        let said = match &answer.body {
            Ok(body) => read(answer, body),
            Err(cause) => {
                findings.push(fail(
                    AGREE,
                    format!("{} does not say its version: {}", answer.of, cause),
                ));
                continue;
            }
        };
        let sha = match said {
            Ok(sha) => sha,
            Err(mistakes) => {
                findings.extend(mistakes.into_iter().map(|what| fail(AGREE, what)));
                continue;
            }
        };
        if expected.apart.contains(&answer.of) {
            continue;
        }
        if let Some(wanted) = expected.git_sha.as_deref().filter(|wanted| *wanted != sha) {
            let what = format!("{} runs git_sha {sha}; expected {wanted}", answer.of);
            findings.push(fail(AGREE, what));
        }
        commits.entry(sha).or_default().push(&answer.of);
    }
    if expected.git_sha.is_none() && commits.len() > 1 {
        let parts: Vec<_> = commits
            .iter()
            .map(|(sha, who)| format!("{sha} on {}", who.join(", ")))
            .collect();
        let what = format!("versions are mixed: {}; expected one git_sha", parts.join("; "));
        findings.push(fail(AGREE, what));
    }
    findings
}

/// The commit that an answer names, or all that is wrong with the answer.
fn read(answer: &Answer, body: &str) -> Result<String, Vec<String>> {
    let of = &answer.of;
    let fields: Map<String, Value> = serde_json::from_str(body).map_err(|error| {
        vec![format!(
            "{of} answers no JSON object: {error}; expected service, git_sha, build_time"
        )]
    })?;
    let mut mistakes = Vec::new();
    let mut text = |key: &str| match fields.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => {
            mistakes.push(format!("{of} answers {key} {other}; expected text"));
            None
        }
        None => {
            mistakes.push(format!("{of} answers without {key}"));
            None
        }
    };
    let (service, sha, built) = (text("service"), text("git_sha"), text("build_time"));
    if let (Some(service), Some(wanted)) = (&service, &answer.service)
        && service != wanted
    {
        mistakes.push(format!("{of} says that it is {service}; expected {wanted}"));
    }
    if let Some(sha) = &sha
        && (sha.len() != SHA || !sha.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f')))
    {
        mistakes.push(format!(
            "{of} answers git_sha `{sha}`; expected {SHA} hexadecimal digits"
        ));
    }
    if let Some(built) = &built
        && (!built.ends_with('Z') || built.parse::<Timestamp>().is_err())
    {
        mistakes.push(format!(
            "{of} answers build_time `{built}`; expected a time in UTC such as 2026-11-24T03:00:00Z"
        ));
    }
    match sha {
        Some(sha) if mistakes.is_empty() => Ok(sha),
        _ => Err(mistakes),
    }
}
