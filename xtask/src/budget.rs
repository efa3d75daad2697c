//! What browsers download may not grow unnoticed: `budgets.toml`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use xshell::Shell;

use crate::report::note;
use crate::stage::gzipped_len;
use crate::workspace::Workspace;

/// The file's name, at the workspace's root.
const FILE: &str = "budgets.toml";

/// The part of the file that is about sizes.
#[derive(Deserialize)]
struct Budgets {
    files: BTreeMap<String, Size>,
    together: BTreeMap<String, Together>,
}

/// Bytes of one file at the most.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Size {
    raw: usize,
    gzip: usize,
}

/// Bytes of several files together at the most, and what they should become.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Together {
    files: Vec<String>,
    gzip: usize,
    goal: usize,
}

/// Compares what is staged with the budgets; the error names every one that is exceeded.
pub fn run(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let text = sh.read_file(workspace.root.join(FILE))?;
    let budgets: Budgets =
        toml::from_str(&text).with_context(|| format!("{FILE} cannot be understood"))?;
    let sizes = sizes(sh, &workspace.staging())?;
    let (lines, faults) = compare(&budgets, &sizes);
    lines.iter().for_each(note);
    ensure!(faults.is_empty(), "over the budgets in {FILE}:\n  {}", faults.join("\n  "));
    Ok(())
}

/// Of each wasm and script that is staged.
fn sizes(sh: &Shell, folder: &Path) -> Result<BTreeMap<String, Size>> {
    let mut sizes = BTreeMap::new();
    for path in sh.read_dir(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".wasm") || name.ends_with(".js") {
            let bytes = sh.read_binary_file(&path)?;
            sizes.insert(name, Size { raw: bytes.len(), gzip: gzipped_len(&bytes)? });
        }
    }
    Ok(sizes)
}

/// What there is to say, and what is wrong.
fn compare(budgets: &Budgets, sizes: &BTreeMap<String, Size>) -> (Vec<String>, Vec<String>) {
    let (mut lines, mut faults) = (Vec::new(), Vec::new());
    for (name, size) in sizes {
        let Some(budget) = budgets.files.get(name) else {
            faults.push(format!("{name} has no budget"));
            continue;
        };
        let line = format!(
            "{name}: {} bytes of {}, gzip {} of {}",
            size.raw, budget.raw, size.gzip, budget.gzip
        );
        if size.raw > budget.raw || size.gzip > budget.gzip {
            faults.push(line.clone());
        }
        lines.push(line);
    }
    let unmade = budgets.files.keys().filter(|name| !sizes.contains_key(*name));
    faults.extend(unmade.map(|name| format!("{name} has a budget, and is not made")));
    for (name, Together { files, gzip, goal }) in &budgets.together {
        let all: usize = files.iter().filter_map(|file| sizes.get(file)).map(|it| it.gzip).sum();
        let line = format!("{name}: gzip {all} of {gzip}, goal {goal}");
        if all > *gzip {
            faults.push(line.clone());
        }
        lines.push(line);
    }
    (lines, faults)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn faults(sizes: &[(&str, usize, usize)]) -> Vec<String> {
        let budgets = "
            [files]
            'a.js' = { raw = 100, gzip = 50 }
            'a.wasm' = { raw = 100, gzip = 50 }
            [together]
            a = { files = ['a.js', 'a.wasm'], gzip = 80, goal = 60 }";
        let sizes = sizes.iter().map(|&(name, raw, gzip)| (name.to_owned(), Size { raw, gzip }));
        compare(&toml::from_str(budgets).unwrap(), &sizes.collect()).1
    }

    #[test]
    fn what_keeps_to_its_budgets_is_no_fault() {
        assert!(faults(&[("a.js", 100, 40), ("a.wasm", 100, 40)]).is_empty());
    }

    #[test]
    fn each_budget_that_is_exceeded_is_named_with_its_figure() {
        assert_eq!(
            faults(&[("a.js", 101, 40), ("a.wasm", 100, 41)]),
            ["a.js: 101 bytes of 100, gzip 40 of 50", "a: gzip 81 of 80, goal 60"]
        );
    }

    #[test]
    fn a_file_needs_a_budget_and_a_budget_a_file() {
        let missing = faults(&[("a.js", 1, 1), ("b.js", 1, 1)]);
        assert_eq!(missing, ["b.js has no budget", "a.wasm has a budget, and is not made"]);
    }
}
