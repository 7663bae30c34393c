//! What a deploy has left, in the form that goldens show.

use harness_runner::environment::Failure;
use serde_json::Value;

use crate::ops::{Ops, infra};

impl Ops {
    /// The override that is in force, in the form that goldens show.
    ///
    /// # Errors
    /// Fail if there is none.
    pub async fn pins(&self) -> Result<Value, Failure> {
        let (_, text) = self.override_text().await?;
        Ok(Value::from(
            self.marked(&text)?.lines().map(str::to_owned).collect::<Vec<_>>(),
        ))
    }

    /// What Compose makes of all files, in the form that goldens show: without environments, which other goldens are about.
    ///
    /// # Errors
    /// Fail if Compose refuses them.
    pub async fn effective(&self) -> Result<Value, Failure> {
        let json = self.compose(true).await?.map_err(Failure::fail)?;
        let mut config: Value =
            serde_json::from_str(&self.marked(&json)?).map_err(|error| infra(error.to_string()))?;
        for service in config["services"].as_object_mut().into_iter().flatten() {
            if let Some(fields) = service.1.as_object_mut() {
                fields.remove("environment");
            }
        }
        Ok(config)
    }

    /// A text without what differs from trial to trial.
    fn marked(&self, text: &str) -> Result<String, Failure> {
        let site = self.site()?;
        let mut text = text.to_owned();
        for name in ["ops.registry", "ops.project", "ops.gateway"] {
            if let Some(value) = site.values.get(name).filter(|value| !value.is_empty()) {
                text = text.replace(value, &format!("<{}>", &name[4..]));
            }
        }
        let mut out = String::new();
        let mut rest = text.as_str();
        while let Some(at) = rest.find("sha256:") {
            let (before, after) = rest.split_at(at + "sha256:".len());
            out.push_str(before);
            let end = after
                .find(|c: char| !c.is_ascii_hexdigit())
                .unwrap_or(after.len());
            out.push_str(if end == 64 { "<digest>" } else { &after[..end] });
            rest = &after[end..];
        }
        Ok(out + rest)
    }
}
