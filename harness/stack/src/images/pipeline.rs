//! Building the image of the reference pipeline: its binary, compiled from this workspace, on a small base.
//!
//! The binary is compiled for this machine. Where that is not the engine's platform, the image must be named by an
//! override instead.

use std::process::Stdio;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use tokio::process::Command;

use super::ROLE_LABEL;
use super::recipe::PipelineRecipe;
use crate::engine::Engine;
use crate::progress::Step;

/// Longest time for a compilation, from nothing, on a small machine.
const COMPILE: Duration = Duration::from_mins(30);
/// Name of the binary, of its package and of the file in the image.
const BINARY: &str = "cleanapp-pipeline";

/// Compiles the binary, puts it on `base` and tags the image.
///
/// # Errors
/// A text for the list of routes.
pub(super) async fn build(
    engine: &Engine,
    recipe: &PipelineRecipe,
    base: &str,
    tag: &str,
    workspace: &Utf8Path,
    step: &Step,
) -> Result<(), String> {
    if !cfg!(target_os = "linux") {
        return Err("the pipeline can only be compiled for the engine on Linux".to_owned());
    }
    step.message("compiling the pipeline");
    let binary = compile(workspace).await?;
    step.message("importing into the engine");
    let content = std::fs::read(&binary).map_err(|error| format!("read {binary}: {error}"))?;
    let dockerfile = format!(
        "FROM {base}\n{}\nLABEL {ROLE_LABEL}=services\n",
        recipe.dockerfile.trim_end()
    );
    let context = context(&[
        ("Dockerfile", 0o644, dockerfile.as_bytes()),
        (BINARY, 0o755, &content),
    ])
    .map_err(|error| format!("pack the build context: {error}"))?;
    engine
        .build(tag, context)
        .await
        .map_err(|error| error.to_string())
}

/// One line of cargo's JSON output.
#[derive(Deserialize)]
struct CargoMessage {
    executable: Option<Utf8PathBuf>,
    message: Option<Diagnostic>,
}

#[derive(Deserialize)]
struct Diagnostic {
    level: String,
    rendered: Option<String>,
}

async fn compile(workspace: &Utf8Path) -> Result<Utf8PathBuf, String> {
    let mut cargo = Command::new("cargo");
    cargo.args([
        "build",
        "--quiet",
        "--locked",
        "--message-format=json",
        "--package",
        BINARY,
        "--bin",
        BINARY,
    ]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo
        .current_dir(workspace)
        .kill_on_drop(true)
        .stdin(Stdio::null());
    let output = match tokio::time::timeout(COMPILE, cargo.output()).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) => return Err(format!("run cargo: {error}")),
        Err(_) => return Err(format!("cargo did not end within {} s", COMPILE.as_secs())),
    };
    let messages = messages(&String::from_utf8_lossy(&output.stdout));
    if !output.status.success() {
        let said = messages
            .into_iter()
            .filter_map(|message| message.message)
            .filter(|diagnostic| diagnostic.level == "error")
            .find_map(|diagnostic| diagnostic.rendered)
            .unwrap_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned());
        return Err(format!("cargo ended with {}: {}", output.status, said.trim()));
    }
    messages
        .into_iter()
        .rev()
        .find_map(|message| message.executable)
        .ok_or_else(|| format!("cargo built no executable {BINARY}"))
}

/// The lines of cargo's output that can be read; it may add kinds of its own.
fn messages(stdout: &str) -> Vec<CargoMessage> {
    stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// A tar file in memory.
fn context(files: &[(&str, u32, &[u8])]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, mode, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(*mode);
        tar.append_data(&mut header, name, *content)?;
    }
    tar.into_inner()
}

#[cfg(test)]
mod tests {
    use super::{context, messages};
    use std::io::Read as _;

    #[test]
    fn the_executable_is_read_from_cargo_s_output() {
        let stdout = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                      not json\n\
                      {\"reason\":\"compiler-artifact\",\"executable\":\"/t/debug/cleanapp-pipeline\"}\n\
                      {\"reason\":\"build-finished\",\"success\":true}\n";
        let found: Vec<_> = messages(stdout)
            .into_iter()
            .filter_map(|message| message.executable)
            .collect();
        assert_eq!(found, ["/t/debug/cleanapp-pipeline"]);
    }

    #[test]
    fn a_context_holds_its_files_with_their_modes() {
        let bytes = context(&[("Dockerfile", 0o644, b"FROM x\n"), ("bin", 0o755, b"\x7fELF")]).unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let read: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                (
                    entry.path().unwrap().display().to_string(),
                    entry.header().mode().unwrap(),
                    content,
                )
            })
            .collect();
        assert_eq!(
            read,
            [
                ("Dockerfile".to_owned(), 0o644, b"FROM x\n".to_vec()),
                ("bin".to_owned(), 0o755, b"\x7fELF".to_vec())
            ]
        );
    }
}
