//! URL path -> path in the site. Pure: whether there is such a file is not asked.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// File that a URL ending in `/` stands for.
pub const INDEX: &str = "index.html";

/// A path below the site's root, made of plain names only: none is empty, starts
/// with a dot, or holds a slash, a backslash or a NUL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SitePath {
    names: Vec<String>,
    directory: bool,
}

impl SitePath {
    /// Reads the path of a URL, still percent-encoded, without query.
    ///
    /// Names are decoded one by one, so an encoded slash never separates. Empty
    /// names are skipped: `//a` is `/a`.
    ///
    /// # Errors
    /// [`PathError`] for what can never name a file of the site.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let inner = path.strip_prefix('/').ok_or(PathError::Malformed("it must start with /"))?;
        let names = inner
            .split('/')
            .filter(|name| !name.is_empty())
            .map(decode_name)
            .collect::<Result<_, _>>()?;
        Ok(Self { names, directory: path.ends_with('/') })
    }

    /// The path of a file by its names as the file system has them. Empty ones are skipped.
    ///
    /// # Errors
    /// As for [`SitePath::parse`].
    pub fn of_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, PathError> {
        let names = names.filter(|name| !name.is_empty()).map(|name| check_name(name.to_owned()));
        Ok(Self { names: names.collect::<Result<_, _>>()?, directory: false })
    }

    /// Whether the URL ends in `/` and so stands for a directory's [`INDEX`].
    pub fn is_directory(&self) -> bool {
        self.directory
    }

    /// The file that the URL stands for, relative to the root.
    pub fn file(&self) -> PathBuf {
        let index = self.directory.then_some(INDEX);
        self.names.iter().map(String::as_str).chain(index).collect()
    }

    /// Whether the server answers for this path itself. No file of the site may
    /// stand in, however the URL is spelled.
    pub fn is_reserved(&self) -> bool {
        match self.names.as_slice() {
            [first, ..] if first == "dcdn" => true,
            [only] => ["sw.js", "healthz", "readyz", "metrics"].contains(&only.as_str()),
            _ => false,
        }
    }
}

fn decode_name(name: &str) -> Result<String, PathError> {
    let name = percent_decode_str(name)
        .decode_utf8()
        .map_err(|_| PathError::Malformed("it is not UTF-8"))?;
    check_name(name.into_owned())
}

fn check_name(name: String) -> Result<String, PathError> {
    if name.contains(['/', '\\', '\0']) {
        return Err(PathError::Malformed("a name in it has a slash, a backslash or a NUL"));
    }
    if name == ".." {
        return Err(PathError::Outside);
    }
    if name.starts_with('.') {
        return Err(PathError::Hidden);
    }
    Ok(name)
}

/// A path that names nothing in the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not the path of a URL of this site.
    #[error("not a path of this site: {0}")]
    Malformed(&'static str),
    /// Leads above the root.
    #[error("the path leads out of the site")]
    Outside,
    /// Has a name that starts with a dot.
    #[error("names that start with a dot are not public")]
    Hidden,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_is_decoded_once() {
        let path = SitePath::parse("/media/a%20b%2525.jpg").unwrap();

        assert_eq!(path.file(), Path::new("media/a b%25.jpg"));
    }

    #[test]
    fn a_path_that_ends_in_a_slash_is_its_index() {
        assert_eq!(SitePath::parse("/").unwrap().file(), Path::new("index.html"));
        assert_eq!(SitePath::parse("/a//b/").unwrap().file(), Path::new("a/b/index.html"));
        assert!(!SitePath::parse("/a").unwrap().is_directory());
    }

    #[test]
    fn what_cannot_name_a_file_is_refused_for_its_reason() {
        let malformed = ["", "a.jpg", "/a%2fb", "/a%5cb", "/a\\b", "/a%00.jpg", "/%ff"];
        for path in malformed {
            assert!(matches!(SitePath::parse(path), Err(PathError::Malformed(_))), "{path:?}");
        }
        for path in ["/..", "/a/../b", "/%2e%2e/etc/passwd", "/.%2E/a", "/a/%2e%2E/"] {
            assert_eq!(SitePath::parse(path), Err(PathError::Outside), "{path:?}");
        }
        for path in ["/.env", "/a/.git/config", "/%2eenv", "/./a", "/..."] {
            assert_eq!(SitePath::parse(path), Err(PathError::Hidden), "{path:?}");
        }
    }

    #[test]
    fn the_servers_own_urls_are_reserved_however_they_are_spelled() {
        for path in [
            "/sw.js",
            "//sw.js",
            "/%73w.js",
            "/dcdn",
            "/%64cdn/x",
            "/healthz",
            "/readyz",
            "/metrics",
        ] {
            assert!(SitePath::parse(path).unwrap().is_reserved(), "{path:?}");
        }
        for path in ["/a/sw.js", "/dcdn.html", "/metrics/a"] {
            assert!(!SitePath::parse(path).unwrap().is_reserved(), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn every_path_accepted_stays_below_the_root(path in "/[a./%2eEfF5cC\\\\0-9]{0,24}") {
            if let Ok(path) = SitePath::parse(&path) {
                let file = path.file();
                let is_plain = |part: Component| {
                    let name = part.as_os_str().to_string_lossy();
                    matches!(part, Component::Normal(_)) && !name.starts_with('.')
                };
                prop_assert!(file.components().all(is_plain), "{file:?}");
            }
        }
    }
}
