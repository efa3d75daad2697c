//! Every single trial as it happens, one JSON object in a line: the thesis dumped its statistics
//! after each (section 4.1), and a run that is cut short loses none.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

/// The file.
pub struct Log(File);

impl Log {
    /// An empty `trials.jsonl` in `folder`.
    pub fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("trials.jsonl");
        Ok(Self(File::create(&path).with_context(|| path.display().to_string())?))
    }

    /// Notes what one trial of a part gave. Warm-ups have their place among the rounds, too.
    pub fn note(
        &self,
        part: &str,
        round: usize,
        configuration: &str,
        gave: &impl Serialize,
    ) -> Result<()> {
        let line = json!({
            "part": part, "round": round, "configuration": configuration, "gave": gave,
        });
        Ok(writeln!(&self.0, "{line}")?)
    }
}
