//! What was measured, and where.

use std::env;
use std::process::Command;
use std::thread::available_parallelism;

use serde::Serialize;

/// So that figures can be put beside others.
#[derive(Debug, Serialize)]
pub struct About {
    /// The commit, with `-dirty` if files differ from it.
    pub commit: String,
    /// As it names itself.
    pub browser: String,
    /// Processor cores for everybody.
    pub cores: usize,
}

impl About {
    /// This machine. What cannot be found out is empty.
    pub fn here() -> Self {
        let browser = env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
        Self {
            commit: said("git", &["describe", "--always", "--dirty"]),
            browser: said(&browser, &["--version"]),
            cores: available_parallelism().map_or(0, usize::from),
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let said = output.map(|it| String::from_utf8_lossy(&it.stdout).trim().to_owned());
    said.unwrap_or_default()
}
