//! What the documents tell people to simulate is understood.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn documented_simulations_are_understood() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let mut understood = 0;
    for document in ["README.md", "docs/policies.md", "bench/RESULTS.md"] {
        let text = fs::read_to_string(root.join(document)).unwrap();
        let commands = text.split("cargo xtask bench simulate ").skip(1);
        for command in commands.map(|it| it.split(['`', '\n']).next().unwrap_or_default()) {
            // Those with a placeholder are no commands.
            if !command.starts_with("--") || command.contains(" N") {
                continue;
            }
            // Help is given once all before it has been understood.
            let mut simulator = Command::new(env!("CARGO_BIN_EXE_dcdn-simulator"));
            let asked = simulator.args(command.split_whitespace()).arg("--help").output().unwrap();
            let why = String::from_utf8_lossy(&asked.stderr);
            assert!(asked.status.success(), "{document}: {command}\n{why}");
            understood += 1;
        }
    }
    assert!(understood > 4, "only {understood} commands found");
}
