//! Watches what `cargo xtask build` stages for embedding, so that new and
//! changed files make a new server.

use std::fs;
use std::path::Path;

fn main() {
    let staged = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/dcdn");
    // Cargo takes a watched path that does not exist for one that always changes.
    // Where the folder cannot be made there is only a needless rebuild.
    let _ = fs::create_dir_all(&staged);
    println!("cargo::rerun-if-changed={}", staged.display());
    println!("cargo::rerun-if-changed=build.rs");
}
