//! What a peer holds, small where it is one run, as it mostly is.

use dcdn_protocol::ChunkSet;

/// A set of chunks.
#[derive(Clone, Debug, Default)]
pub enum Holdings {
    /// None.
    #[default]
    Nothing,
    /// One run, `start..end`.
    Run(u32, u32),
    /// Several runs.
    Runs(Box<ChunkSet>),
}

impl Holdings {
    /// Those of a set.
    pub fn of(set: &ChunkSet) -> Self {
        let mut runs = set.runs();
        match (runs.next(), runs.next()) {
            (None, _) => Self::Nothing,
            (Some(run), None) => Self::Run(run.start, run.end),
            _ => Self::Runs(Box::new(set.clone())),
        }
    }

    /// As a set.
    pub fn set(&self) -> ChunkSet {
        match self {
            Self::Nothing => ChunkSet::new(),
            Self::Run(start, end) => {
                let mut set = ChunkSet::new();
                set.insert_run(*start..*end);
                set
            }
            Self::Runs(set) => (**set).clone(),
        }
    }

    /// Whether all of `first..=last` are in it.
    pub fn cover(&self, first: u32, last: u32) -> bool {
        match self {
            Self::Nothing => false,
            Self::Run(start, end) => *start <= first && last < *end,
            Self::Runs(set) => set.runs().any(|run| run.start <= first && last < run.end),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}
