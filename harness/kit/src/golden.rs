//! Goldens: reviewed expected outputs, kept by insta under golden/, in folders that mirror the scenarios.

use std::panic::{AssertUnwindSafe, catch_unwind};

use harness_runner::environment::Failure;
use serde_json::Value;

use crate::files;

/// Compares `value` with golden/`family`/`scenario`/`name`.snap. What is done with a difference follows from insta's
/// own settings (`INSTA_UPDATE`); under `CI` nothing is ever written.
///
/// # Errors
/// Fail, rule `golden`, on any difference.
pub(crate) fn check(scenario: &str, name: &str, value: &Value) -> Result<(), Failure> {
    let (family, scenario) = scenario.split_once("::").unwrap_or(("", scenario));
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path(
        files::root()
            .join("golden")
            .join(family)
            .join(scenario)
            .as_std_path(),
    );
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // Floats have one shortest form, objects are in name order: the text is the same for the same value.
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::infra(error.to_string()))?;
    // insta says by a panic that there is a difference, after it has shown it.
    let compared = catch_unwind(AssertUnwindSafe(|| {
        settings.bind(|| insta::assert_snapshot!(name, text));
    }));
    compared.map_err(|_| {
        Failure::fail(format!("golden/{family}/{scenario}/{name}.snap differs"))
            .rule("golden")
            .hint("`harness review` shows the difference and takes the new value if that is right")
    })
}
