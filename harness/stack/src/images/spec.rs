//! What is wanted for each role.

use harness_model::topology::ops::OPS_IMAGE;

use super::{ImagePaths, Recipe, RecipeError};

/// The name by which a topology asks for the reference pipeline, which is in no registry: it is built from this
/// workspace.
pub const PIPELINE_IMAGE: &str = "cleanapp-pipeline";

/// What is wanted for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageSpec {
    /// Role: `broker`, `database`, `services`, or any other name.
    pub role: String,
    /// The caller's own choice, which replaces everything else.
    pub chosen: Option<String>,
    /// Reference in a registry.
    pub registry_ref: Option<String>,
    /// How to build it.
    pub recipe: Option<Recipe>,
}

impl ImageSpec {
    /// What a role wants, from the reference that its topology names. The roles `broker`, `database` and `registry` can
    /// also be built from Debian packages; [`PIPELINE_IMAGE`] and [`OPS_IMAGE`] are built here, whatever the role; everything else
    /// comes from the engine or a registry.
    ///
    /// # Errors
    /// A recipe that cannot be read.
    pub fn new(role: &str, reference: &str, paths: &ImagePaths) -> Result<Self, RecipeError> {
        let (registry_ref, recipe) = match role {
            _ if reference == PIPELINE_IMAGE => (None, Some(Recipe::pipeline(paths)?)),
            _ if reference == OPS_IMAGE => (None, Some(Recipe::debian("ops", paths)?)),
            "broker" | "database" | "registry" => {
                (Some(reference.to_owned()), Some(Recipe::debian(role, paths)?))
            }
            _ => (Some(reference.to_owned()), None),
        };
        Ok(Self {
            role: role.to_owned(),
            chosen: None,
            registry_ref,
            recipe,
        })
    }

    /// An override: exactly this reference, from the engine or its registry.
    pub fn chosen(role: &str, reference: &str) -> Self {
        Self {
            role: role.to_owned(),
            chosen: Some(reference.to_owned()),
            registry_ref: None,
            recipe: None,
        }
    }
}

/// Reads an override, `ROLE=REFERENCE`.
///
/// # Errors
/// A text for a person.
pub fn parse_override(text: &str) -> Result<(String, String), String> {
    let bad = |why: &str| format!("`{text}` is no override of an image: {why}; expected ROLE=REFERENCE");
    let (role, reference) = text.split_once('=').ok_or_else(|| bad("no `=`"))?;
    if role.is_empty()
        || !role
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
    {
        return Err(bad("the role must be letters, digits, `-` and `_`"));
    }
    if reference.is_empty() || reference.contains(char::is_whitespace) {
        return Err(bad("the reference must not be empty or contain spaces"));
    }
    Ok((role.to_owned(), reference.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::parse_override;

    #[test]
    fn an_override_is_a_role_and_a_reference() {
        let read = |text| parse_override(text).map(|(role, reference)| format!("{role} is {reference}"));
        assert_eq!(
            read("broker=rabbitmq:3.13").as_deref(),
            Ok("broker is rabbitmq:3.13")
        );
        assert_eq!(
            read("tags=r.test:5000/t@sha256:ab").as_deref(),
            Ok("tags is r.test:5000/t@sha256:ab")
        );
        for wrong in ["broker", "=x", "broker=", "bro ker=x", "broker=a b"] {
            let error = read(wrong).unwrap_err();
            assert!(
                error.starts_with(&format!("`{wrong}` is no override of an image: ")),
                "{error}"
            );
        }
    }
}
