//! `config check`: what is wrong with a file, by line.

use std::ffi::OsString;
use std::path::Path;

use clap::{Command, FromArgMatches};

use super::{Mistake, Mistakes, Place, SOURCES, Setting, layered, of_file, refuse, summary};
use crate::args::Cli;

/// Checks a file as if the server were started with it alone; but where the site is may be said
/// by a flag. The number of its settings.
///
/// # Errors
/// [`Mistakes`], or if the file cannot be read.
pub fn check(path: &Path) -> anyhow::Result<usize> {
    let command = super::command();
    let settings = of_file(&command, path)?;
    Mistakes::check(settings.iter().filter_map(|setting| refuse(&command, setting)))?;
    let count = settings.len();
    Mistakes::check(faults(&command, settings).into_iter())?;
    Ok(count)
}

/// What is wrong with settings that are each well written. What is wrong concerns those without
/// which something else is, or nothing.
fn faults(command: &Command, mut settings: Vec<Setting>) -> Vec<Mistake> {
    let mut faults = Vec::new();
    while let Err(fault) = start(command, &settings) {
        let without = |place: usize| {
            let mut others = settings.clone();
            others.remove(place);
            start(command, &others)
        };
        let mut concerned: Vec<usize> =
            (0..settings.len()).filter(|place| without(*place).as_ref() != Err(&fault)).collect();
        if concerned.is_empty() {
            concerned = (0..settings.len()).collect();
        }
        for place in concerned.into_iter().rev() {
            let Setting { name, place, .. } = settings.remove(place);
            faults.push(Mistake { place, text: format!("{name}: {fault}") });
        }
        if settings.is_empty() {
            break;
        }
    }
    faults
}

/// All that a server does with its settings before it listens.
fn start(command: &Command, settings: &[Setting]) -> Result<(), String> {
    let mut settings = settings.to_vec();
    let is_of_a_source = |it: &Setting| it.name == "root" || SOURCES[1].contains(&&*it.name);
    if !settings.iter().any(is_of_a_source) {
        let place = Place::Variable(String::new());
        settings.push(Setting { name: "root".to_owned(), values: vec![".".to_owned()], place });
    }
    let argv = layered(vec![OsString::new()], vec![settings]);
    let matches = command.clone().try_get_matches_from(argv).map_err(|error| summary(&error))?;
    let cli = Cli::from_arg_matches(&matches).map_err(|error| summary(&error))?;
    cli.serve.check().map_err(|error| format!("{error:#}"))
}
