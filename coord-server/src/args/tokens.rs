//! Join tokens: the secret that they are signed with, and how long they live.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::value_parser;
use coord_server::tokens::{LONGEST, Secret, SecretError, Tokens};

/// Whether pages need tokens.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// File with the secret, of at least 32 bytes, that join tokens are signed with: pages
    /// without one have no peers [default: no tokens are asked for]
    #[arg(long, value_name = "FILE")]
    join_secret_file: Option<PathBuf>,

    /// Seconds that a join token may be good for at the most
    #[arg(long, value_name = "SECONDS", default_value_t = LONGEST.as_secs())]
    #[arg(value_parser = value_parser!(u64).range(1..))]
    join_token_seconds: u64,
}

/// Flags of `token`.
#[derive(Debug, clap::Args)]
pub struct Issue {
    /// The server's secret
    #[arg(long, value_name = "FILE")]
    join_secret_file: PathBuf,

    /// Seconds that the token is good for
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    #[arg(value_parser = value_parser!(u64).range(1..=MOST_SECONDS))]
    seconds: u64,

    /// Origin of the pages that it is for, https://example.com [default: any]
    #[arg(long, value_name = "ORIGIN")]
    audience: Option<String>,
}

/// Longer than any token should live, and shorter than clocks count.
const MOST_SECONDS: u64 = 366 * 24 * 3600;

impl TokenArgs {
    /// What checks tokens, if they are asked for.
    ///
    /// # Errors
    /// If the secret cannot be used.
    pub fn tokens(&self) -> Result<Option<Tokens>, SecretError> {
        let secret = self.join_secret_file.as_deref().map(Secret::read).transpose()?;
        let longest = Duration::from_secs(self.join_token_seconds.min(MOST_SECONDS));
        Ok(secret.map(|secret| Tokens::new(&secret, longest)))
    }
}

impl Issue {
    /// A new token.
    pub fn token(&self) -> anyhow::Result<String> {
        let secret = Secret::read(&self.join_secret_file)?;
        let life = Duration::from_secs(self.seconds);
        let tokens = Tokens::new(&secret, life);
        Ok(tokens.issue(life, self.audience.clone(), SystemTime::now())?)
    }
}
