//! What contents are called, and how often they are asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dcdn_protocol::ContentId;
use moka::future::Cache;

/// Contents whose URL is remembered.
const MAX_NAMES: u64 = 10_000;

/// The URL under which each content was last asked for.
#[derive(Clone, Debug)]
pub struct Names(Cache<ContentId, Arc<Name>>);

#[derive(Debug)]
struct Name {
    url: Box<str>,
    asked: AtomicU64,
}

impl Default for Names {
    fn default() -> Self {
        Self(Cache::new(MAX_NAMES))
    }
}

impl Names {
    /// Somebody has asked what `url` is, and it is `content`.
    pub async fn note(&self, content: ContentId, url: &str) {
        let known = self.0.get(&content).await;
        let asked = known.as_ref().map_or(0, |name| name.asked.load(Ordering::Relaxed));
        match known {
            Some(name) if *name.url == *url => drop(name.asked.fetch_add(1, Ordering::Relaxed)),
            _ => {
                let name = Name { url: url.into(), asked: AtomicU64::new(asked + 1) };
                self.0.insert(content, Arc::new(name)).await;
            }
        }
    }

    /// What a content was last asked for as.
    pub async fn url(&self, content: ContentId) -> Option<String> {
        Some(self.0.get(&content).await?.url.to_string())
    }

    /// The `most` contents that were asked for most often, and how often.
    pub fn top(&self, most: usize) -> Vec<(ContentId, String, u64)> {
        let line = |(content, name): (Arc<ContentId>, Arc<Name>)| {
            (*content, name.url.to_string(), name.asked.load(Ordering::Relaxed))
        };
        let mut lines: Vec<_> = self.0.iter().map(line).collect();
        lines.sort_unstable_by(|a, b| b.2.cmp(&a.2).then_with(|| a.1.cmp(&b.1)));
        lines.truncate(most);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_for_most_often_comes_first() {
        let names = Names::default();
        let [a, b] = [1, 2].map(|byte| ContentId([byte; 32]));
        for (content, url) in [(a, "/a.jpg"), (b, "/b.jpg"), (b, "/c.jpg"), (b, "/c.jpg")] {
            names.note(content, url).await;
        }

        let expected = [(b, "/c.jpg".to_owned(), 3), (a, "/a.jpg".to_owned(), 1)];
        assert_eq!(names.top(5), expected);
        assert_eq!(names.top(1), expected[..1]);
        assert_eq!(names.url(a).await.as_deref(), Some("/a.jpg"));
    }
}
