//! What whoever runs the server gets to see.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use coord_server::dashboard::access::Token;

/// Log and dashboard.
#[derive(Debug, clap::Args)]
pub struct OperationArgs {
    /// How the log is written: text for people, or one JSON object a line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// File with a token that has to be shown to see the figures of /dcdn/ and /metrics
    /// [default: those of /dcdn/ are shown on this machine, /metrics everywhere]
    #[arg(long, value_name = "FILE")]
    dashboard_token_file: Option<PathBuf>,
}

/// See `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl OperationArgs {
    /// The token, if there is to be one.
    pub fn dashboard_token(&self) -> anyhow::Result<Option<Token>> {
        let Some(path) = &self.dashboard_token_file else { return Ok(None) };
        let named = || format!("cannot use --dashboard-token-file {}", path.display());
        let text = fs::read_to_string(path).with_context(named)?;
        Token::new(&text).map(Some).with_context(named)
    }
}
