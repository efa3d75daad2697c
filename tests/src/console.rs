//! What browsers write to their consoles: the pages' and the workers'. Each engine has its
//! own way of telling: `chromium.rs`, `firefox.rs`.

use std::fmt;

use serde::Deserialize;

/// One line of a console.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Entry {
    /// Whose console.
    pub origin: Origin,
    /// What wrote it.
    pub kind: Kind,
    /// `error`, `warning`, `info`, `log`, `debug` …, as the browser names it.
    pub level: String,
    /// The text.
    pub text: String,
    /// The script or resource that it is about, if there is one.
    pub url: String,
}

/// Whose console it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Origin {
    /// A page or a frame.
    Page,
    /// The service worker, or another worker.
    Worker,
}

/// What wrote an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Kind {
    /// `console.…`
    Console,
    /// An error that nobody caught, or a rejection that nobody handled.
    Uncaught,
    /// The browser, about a request or socket that failed.
    Network,
    /// The browser, about anything else.
    Browser,
}

impl Entry {
    /// Whether a person with the tools open would see it in red.
    pub fn is_error(&self) -> bool {
        matches!(self.level.as_str(), "error" | "assert")
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, kind, level, text, url } = self;
        write!(f, "[{origin:?} {kind:?} {level}] {text} ({url})")
    }
}
