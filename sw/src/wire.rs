//! Manifests, read and written with the browser's own JSON.

use dcdn_protocol::manifest::ManifestError;
use dcdn_protocol::{Manifest, frame};

use crate::error::Error;

/// Reads a manifest's frame.
///
/// # Errors
/// If it is none, or one that cannot be used.
pub fn manifest(bytes: &[u8]) -> Result<Manifest, Error> {
    let (header, body) = frame::split(bytes).map_err(ManifestError::from)?;
    Ok(Manifest::from_parts(dcdn_plain::from_json(header)?, body)?)
}

/// Writes one.
///
/// # Errors
/// If its header is too long for a frame.
pub fn manifest_frame(manifest: &Manifest) -> Result<Vec<u8>, Error> {
    let header = dcdn_plain::to_json(&manifest.header())?;
    let head = frame::head(&header).map_err(ManifestError::from)?;
    Ok([head, manifest.body()].concat())
}
