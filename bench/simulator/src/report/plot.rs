//! Plots.
use super::Measured;
use anyhow::Result;
use std::path::Path;
pub(super) fn all(_folder: &Path, _scenario: &str, _measured: &[Measured]) -> Result<()> {
    Ok(())
}
