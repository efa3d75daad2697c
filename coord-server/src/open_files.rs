//! How many connections the system's limit of open files is enough for.

use coord_server::connections::Limits;

/// Open files that a connection may need: its own, and that of what it is sent or of the
/// connection on which it is passed on to the origin.
const EACH: u64 = 2;

/// Files that are open beside connections: the store, what is hashed, Redis. Of a low limit
/// only its quarter.
const BESIDE: u64 = 1024;

/// How many connections there may be: as many as were asked for, or else by default, as far as
/// files can be had. For that the process takes what the system lets it have: what it starts
/// with is 1,024 as a rule.
pub fn connections(asked: Option<usize>) -> usize {
    let wanted = asked.unwrap_or(Limits::default().most);
    let needed = EACH * wanted as u64 + BESIDE;
    let Some(allowed) = allow(needed) else { return wanted };
    let possible = enough_for(allowed);
    if possible >= wanted {
        return wanted;
    }
    if asked.is_some() {
        tracing::warn!(allowed, needed, "open files are fewer than so many connections may need");
        return wanted;
    }
    tracing::info!(allowed, connections = possible, "connections are bounded by open files");
    possible
}

/// Connections that `files` open files are enough for.
fn enough_for(files: u64) -> usize {
    let connections = (files - BESIDE.min(files / 4)) / EACH;
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// Raises the limit to `needed` as far as that is possible, and says what it is then; `None` if
/// the system does not tell.
#[cfg(unix)]
fn allow(needed: u64) -> Option<u64> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    let raised = needed.min(hard);
    if raised <= soft {
        return Some(soft);
    }
    match setrlimit(Resource::RLIMIT_NOFILE, raised, hard) {
        Ok(()) => Some(raised),
        Err(error) => {
            tracing::debug!(%error, soft, "cannot raise the limit of open files");
            Some(soft)
        }
    }
}

#[cfg(not(unix))]
fn allow(_: u64) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_enough() {
        for wanted in [1_000_u32, 32_768, 1_000_000] {
            assert!(enough_for(EACH * u64::from(wanted) + BESIDE) >= wanted as usize);
        }
        assert_eq!([0, 1024, 4096, 20_000].map(enough_for), [0, 384, 1536, 9488]);
    }
}
