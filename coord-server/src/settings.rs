//! Where settings come from: flags, the environment, a file. Of one that is in several, the
//! flag counts, then the variable, then the file.
//!
//! All three have the same settings, which are those of [`Cli`]: `--slack-ms 5` is
//! `DCDN_SLACK_MS=5` and `slack_ms = 5`. What the environment and the file say becomes flags
//! before the given ones, so that everything is checked once, in one place.

mod check;
mod file;
mod mistake;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ErrorKind};
use clap::{ArgAction, Command, CommandFactory, FromArgMatches};

pub use self::check::check;
pub use self::mistake::{Mistake, Mistakes, Place};
use crate::args::Cli;

/// The file that is read if there is one and no other is named.
pub const DEFAULT_FILE: &str = "dcdn.toml";

/// What a variable's name starts with.
const PREFIX: &str = "DCDN_";

/// The setting that names the file.
const CONFIG: &str = "config";

/// The two places where a site can be, of which a site has one, and what belongs to each.
const SOURCES: [&[&str]; 2] =
    [&["root", "cache_control"], &["origin", "origin_host", "allow_private_origin"]];

/// A setting with its values, as the environment or a file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// As in a file: `slack_ms`.
    pub name: String,
    /// One, or those of a list.
    pub values: Vec<String>,
    /// Where it stands.
    pub place: Place,
}

/// Reads the command line, and the environment and the file with it; and what is no mistake
/// but looks like one. Ends the process for `--help` and what clap has to say of flags.
///
/// # Errors
/// [`Mistakes`] of the file and of variables, or if the file cannot be read.
pub fn read(
    argv: Vec<OsString>,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> anyhow::Result<(Cli, Vec<Mistake>)> {
    let command = command();
    let mut doubts = Vec::new();
    let argv = if stands_alone(&command, &argv) {
        argv
    } else {
        let variables = of_environment(&command, variables, &mut doubts);
        let file = match named_file(&argv, &variables) {
            Some(path) => of_file(&command, &path)?,
            None if Path::new(DEFAULT_FILE).is_file() => of_file(&command, DEFAULT_FILE.as_ref())?,
            None => Vec::new(),
        };
        Mistakes::check(
            [&file[..], &variables[..]].concat().iter().filter_map(|it| refuse(&command, it)),
        )?;
        layered(argv, vec![variables, file])
    };
    let mut command = command;
    let matches = command.try_get_matches_from_mut(argv).unwrap_or_else(|error| error.exit());
    let cli = Cli::from_arg_matches(&matches);
    Ok((cli.unwrap_or_else(|error| error.format(&mut command).exit()), doubts))
}

/// The command line, on which what a file turns on can be turned off: `--disabled=false`.
fn command() -> Command {
    Cli::command().mut_args(|arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .default_value("false")
            .value_parser(BoolishValueParser::new())
            .value_name("BOOL")
            .hide_default_value(true)
            .hide_possible_values(true),
        ArgAction::Append => arg.value_delimiter(','),
        _ => arg,
    })
}

/// Whether the command line is for a subcommand, or a question about the program.
fn stands_alone(command: &Command, argv: &[OsString]) -> bool {
    let is_question = |arg: &OsString| {
        ["-h", "--help", "-V", "--version"].map(OsStr::new).contains(&arg.as_os_str())
    };
    let first = argv.get(1).and_then(|first| first.to_str());
    let is_task =
        |name: &str| name == "help" || command.get_subcommands().any(|it| it.get_name() == name);
    first.is_some_and(is_task) || argv.iter().any(is_question)
}

/// The names of all settings.
fn names(command: &Command) -> impl Iterator<Item = &str> {
    command.get_arguments().filter(|arg| arg.get_long().is_some()).map(|arg| arg.get_id().as_str())
}

/// Variables that are no settings may be somebody else's, and are told as doubts.
fn of_environment(
    command: &Command,
    variables: impl Iterator<Item = (OsString, OsString)>,
    doubts: &mut Vec<Mistake>,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (variable, value) in variables {
        let (Ok(variable), Ok(value)) = (variable.into_string(), value.into_string()) else {
            continue;
        };
        let Some(name) = variable.strip_prefix(PREFIX).map(str::to_ascii_lowercase) else {
            continue;
        };
        let (known, place): (Vec<_>, _) = (names(command).collect(), Place::Variable(variable));
        if known.contains(&name.as_str()) {
            settings.push(Setting { name, values: vec![value], place });
        } else {
            doubts.push(Mistake { place, text: file::unknown(&name, &known) });
        }
    }
    settings
}

fn of_file(command: &Command, path: &Path) -> anyhow::Result<Vec<Setting>> {
    let text = fs::read_to_string(path).with_context(|| match path {
        path if path == Path::new(DEFAULT_FILE) => format!("cannot read {}", path.display()),
        path => format!("cannot read {}; name another file with --config FILE", path.display()),
    });
    let known: Vec<&str> = names(command).filter(|name| *name != CONFIG).collect();
    Ok(file::parse(&text?, path, &known)?)
}

/// What is wrong with a setting's values, if anything is.
fn refuse(command: &Command, setting: &Setting) -> Option<Mistake> {
    let argv = [OsString::new()].into_iter().chain(flags(setting));
    let error = command.clone().try_get_matches_from(argv).err()?;
    let is_repeated = error.kind() == ErrorKind::ArgumentConflict;
    if is_repeated {
        let text = format!("{}: write one value, not a list", setting.name);
        return Some(Mistake { place: setting.place.clone(), text });
    }
    let is_about_values = matches!(
        error.kind(),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::TooManyValues
    );
    is_about_values.then(|| {
        let value = error.get(ContextKind::InvalidValue).map(ToString::to_string);
        let said = match std::error::Error::source(&error) {
            Some(source) => format!("{:?}: {source}", value.unwrap_or_default()),
            None => summary(&error),
        };
        Mistake { place: setting.place.clone(), text: format!("{}: {said}", setting.name) }
    })
}

/// What clap says, without its advice on the command line.
fn summary(error: &clap::Error) -> String {
    let text = error.to_string();
    let lines = text.trim_start_matches("error: ").lines().take_while(|line| !line.is_empty());
    lines.map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The command line with the settings of `layers`, the most important one first, as flags
/// where it does not have them itself.
fn layered(argv: Vec<OsString>, layers: Vec<Vec<Setting>>) -> Vec<OsString> {
    let mut added: Vec<Setting> = Vec::new();
    for layer in layers {
        let is_decided = |name: &str| {
            is_given(&argv, name)
                || added.iter().any(|it| it.name == name)
                || SOURCES.iter().any(|source| {
                    let others = SOURCES.iter().filter(|it| *it != source);
                    let is_other = |other: &str| {
                        is_given(&argv, other) || added.iter().any(|it| it.name == other)
                    };
                    source.contains(&name) && others.map(|it| it[0]).any(is_other)
                })
        };
        let new: Vec<Setting> = layer.into_iter().filter(|it| !is_decided(&it.name)).collect();
        added.extend(new);
    }
    let mut given = argv.into_iter();
    let program = given.next();
    program.into_iter().chain(added.iter().flat_map(flags)).chain(given).collect()
}

fn flags(setting: &Setting) -> impl Iterator<Item = OsString> {
    let flag = flag(&setting.name);
    setting.values.iter().map(move |value| format!("{flag}={value}").into())
}

fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

fn is_given(argv: &[OsString], name: &str) -> bool {
    let flag = flag(name);
    argv.iter().filter_map(|arg| arg.to_str()).any(|arg| arg.split('=').next() == Some(&flag))
}

fn named_file(argv: &[OsString], variables: &[Setting]) -> Option<PathBuf> {
    let mut args = argv.iter();
    while let Some(arg) = args.next() {
        if arg == "--config" {
            return args.next().map(PathBuf::from);
        }
        if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    let variable = variables.iter().find(|it| it.name == CONFIG)?;
    variable.values.first().map(PathBuf::from)
}
