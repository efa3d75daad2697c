//! Who reads what, at which pace, and hence which chunks are wanted by when.

mod pace;

use std::ops::Range;
use std::time::Duration;

use dcdn_protocol::{ByteRange, ChunkIndex, Layout};
use vecmap::VecMap;

use self::pace::Pace;
use crate::network::{OriginPace, transfer};
use crate::{ReaderId, Timestamp};

/// Bytes ahead of a reader that are fetched and kept in memory.
pub const READ_AHEAD: u64 = 8 * 1024 * 1024;

/// How long what a player will ask for next is still wanted after it has read to
/// the end of a range: it takes the next range when its own buffer has room.
pub const NEXT_RANGE_PATIENCE: Duration = Duration::from_secs(10);

/// What somebody must have read on end to be taken for a player that reads on
/// behind the end of its range.
const READS_ON_AFTER: u64 = 1024 * 1024;

/// What a player must have before it starts, about: two seconds of a film at
/// 4 Mbit/s. Its visitor waits for these bytes.
const START_BYTES: u64 = 1024 * 1024;

/// The part of the slack that counts for them and for as many behind them, which it
/// plays while its buffer is thin: one over this.
const START_SLACK: u32 = 4;

/// What a player is taken to play until its pace is known, in bytes per second: a
/// film of 8 Mbit/s.
pub const ASSUMED_PACE: u64 = 1_000_000;

/// And what it is taken to want at once until then, whatever its film needs.
const NEAR_BYTES: u64 = 2 * 1024 * 1024;

/// What is asked for ahead of a player that has never been ahead of its playhead, if
/// its line carries less than [`ASSUMED_PACE`]: whatever else came over that line would
/// only keep this waiting.
const NEXT_BYTES: u64 = 1536 * 1024;

/// The readers of one content.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    open: VecMap<ReaderId, Reader>,
    /// A reader that came to the end of its range, and not of the content.
    between: Option<(Reader, Timestamp)>,
}

/// What the site and the page allow a reader to lose against plain HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slack {
    pub fixed: Duration,
    pub percent: u32,
}

impl Slack {
    pub fn is_zero(self) -> bool {
        self.fixed.is_zero() && self.percent == 0
    }
}

#[derive(Clone, Debug)]
struct Reader {
    /// Where reading began, perhaps in an earlier range.
    start: u64,
    position: u64,
    end: u64,
    /// When reading began.
    since: Timestamp,
    /// Whether its user will go on behind the range.
    goes_on: bool,
    /// When it had what a player starts with.
    started: Option<Timestamp>,
    pace: Pace,
}

impl Readers {
    /// A reader wants `range`; `there` says whether its first chunk is in memory.
    /// Returns whether it goes on where one has just ended.
    pub fn open(
        &mut self,
        id: ReaderId,
        range: ByteRange,
        goes_on: bool,
        there: bool,
        now: Timestamp,
    ) -> bool {
        let before = self.between.take().filter(|(it, _)| it.position == range.start);
        let resumes = before.is_some();
        let reader = match before {
            Some((before, _)) => {
                let mut pace = before.pace.clone();
                pace.resumes(before.position, there, now);
                let goes_on = goes_on || before.reads_on();
                Reader { end: range.end, goes_on, pace, ..before }
            }
            None => Reader {
                start: range.start,
                position: range.start,
                end: range.end,
                since: now,
                goes_on,
                started: None,
                pace: Pace::new(now),
            },
        };
        self.open.insert(id, reader);
        resumes
    }

    /// A reader has been given everything before `position`; `there` says whether
    /// the chunk at `position` is in memory. Returns where the reader stood before.
    pub fn advance(
        &mut self,
        id: ReaderId,
        position: u64,
        there: bool,
        now: Timestamp,
    ) -> Option<u64> {
        let reader = self.open.get_mut(&id)?;
        let before = reader.position;
        reader.position = before.max(position);
        if reader.position - reader.start >= START_BYTES {
            reader.started.get_or_insert(now);
        }
        reader.pace.advanced(reader.position - before, reader.position, there, now);
        Some(before)
    }

    /// A chunk has come into memory.
    pub fn arrived(&mut self, bytes: ByteRange, now: Timestamp) {
        for reader in self.open.values_mut() {
            if bytes.start <= reader.position && reader.position < bytes.end {
                reader.pace.fed(now);
            }
        }
    }

    /// A reader is finished or gone.
    pub fn close(&mut self, id: ReaderId, length: Option<u64>, now: Timestamp) {
        let Some(mut reader) = self.open.remove(&id) else { return };
        if reader.position >= reader.end && Some(reader.position) < length {
            reader.pace.pauses();
            self.between = Some((reader, now + NEXT_RANGE_PATIENCE));
        }
    }

    /// Forgets a player that does not ask for its next range. Returns whether it has.
    pub fn expire(&mut self, now: Timestamp) -> bool {
        self.between.take_if(|(_, until)| *until <= now).is_some()
    }

    /// When [`Readers::expire`] is due.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.between.as_ref().map(|(_, until)| *until)
    }

    /// Whether anybody is reading.
    pub fn any_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Whether a player is among them.
    pub fn any_player(&self) -> bool {
        self.all().any(|reader| reader.goes_on)
    }

    /// Bytes per second that the fastest of the readers takes, as far as that is known.
    pub fn pace(&self) -> u64 {
        self.all().filter_map(|reader| reader.pace.rate()).max().unwrap_or(0)
    }

    /// How many places are read at.
    pub fn count(&self) -> usize {
        self.all().count()
    }

    /// Offset at which the first of the readers stands.
    pub fn first_position(&self) -> Option<u64> {
        self.open.values().map(|reader| reader.position).min()
    }

    /// The chunks within the read-ahead of a reader, as ascending runs apart.
    pub fn wanted(&self, layout: Layout) -> Vec<Range<u32>> {
        let mut runs: Vec<Range<u32>> =
            self.all().map(|reader| layout.covering(reader.window())).collect();
        runs.retain(|run| !run.is_empty());
        runs.sort_unstable_by_key(|run| run.start);
        runs.dedup_by(|next, run| {
            let touches = next.start <= run.end;
            if touches {
                run.end = run.end.max(next.end);
            }
            touches
        });
        runs
    }

    /// By when a chunk with these bytes must have come whole: when the playhead
    /// needs it or when the origin alone would have delivered it, whichever is
    /// later, and the slack; for the most pressing of the readers. The visitor's line
    /// carries `line` bytes per second.
    pub fn deadline(
        &self,
        bytes: ByteRange,
        origin: &OriginPace,
        line: u64,
        slack: Slack,
    ) -> Timestamp {
        let deadlines = self.all().filter(|it| !it.window().intersection(bytes).is_empty());
        deadlines
            .map(|reader| reader.deadline(bytes, origin, line, slack))
            .min()
            .unwrap_or(Timestamp(u64::MAX))
    }

    /// Whether everybody who wants these bytes has more pressing ones to wait for, which
    /// they would delay on a visitor's line of `line` bytes per second.
    pub fn can_wait(&self, bytes: ByteRange, line: u64) -> bool {
        !self.all().any(|it| {
            let next = it.position.saturating_add(NEXT_BYTES);
            let wanted = it.window().intersection(bytes);
            !wanted.is_empty() && (wanted.start < next || !it.is_behind(line))
        })
    }

    /// Whether somebody plays what comes over a line of `line` bytes per second that may be
    /// hardly faster than the film.
    pub fn any_on_thin_line(&self, line: u64) -> bool {
        line < ASSUMED_PACE && self.any_player()
    }

    /// Whether somebody plays what comes over a line of `line` bytes per second that may be
    /// hardly faster than the film, and has not been ahead of the playhead yet.
    pub fn any_behind(&self, line: u64) -> bool {
        self.all().any(|it| it.is_behind(line))
    }

    /// Chunks from the nearest reader before it to `chunk`.
    pub fn distance(&self, layout: Layout, chunk: ChunkIndex) -> u32 {
        let from = |reader: &Reader| chunk.0.checked_sub(layout.chunk_at(reader.position).0);
        self.all().filter_map(from).min().unwrap_or(u32::MAX)
    }

    fn all(&self) -> impl Iterator<Item = &Reader> {
        self.open.values().chain(self.between.iter().map(|(reader, _)| reader))
    }
}

impl Reader {
    fn reads_on(&self) -> bool {
        self.position - self.start >= READS_ON_AFTER
    }

    /// Whether it is a player that has never been ahead of its playhead, and whose
    /// visitor's line may be why.
    fn is_behind(&self, line: u64) -> bool {
        self.goes_on && line < ASSUMED_PACE && !self.pace.was_ahead()
    }

    fn window(&self) -> ByteRange {
        let ahead = self.position.saturating_add(READ_AHEAD);
        let ended = self.position >= self.end && self.reads_on();
        let end = if self.goes_on || ended { u64::MAX } else { self.end };
        ByteRange::new(self.position, end.min(ahead))
    }

    fn deadline(
        &self,
        bytes: ByteRange,
        origin: &OriginPace,
        line: u64,
        slack: Slack,
    ) -> Timestamp {
        let span = bytes.end.saturating_sub(self.start);
        let takes = origin.first_byte() + origin.transfer(span);
        let alone = self.since + takes;
        let slack = slack.fixed + takes * slack.percent / 100;
        if let Some(wanted) = self.pace.wants_at(bytes.start, ASSUMED_PACE) {
            // It has been ahead of its playhead. Whatever the origin was measured to send
            // since, more than the slack is not taken from that.
            return wanted.max(alone.min(wanted + slack)) + slack;
        }
        if !self.goes_on {
            return alone + slack;
        }
        match self.started {
            // The slack must not become a pause in what plays already.
            Some(started) => {
                // A film that needs more than the line carries would stall over plain HTTP, too.
                let pace = ASSUMED_PACE.min(line);
                let shown = started + transfer(bytes.start.saturating_sub(self.start), pace);
                let near = bytes.start < self.position.saturating_add(NEAR_BYTES);
                alone.max(if near { shown.min(alone + slack) } else { shown })
            }
            None if span <= START_BYTES * 2 => alone + slack / START_SLACK,
            None => alone + slack,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: u64 = 262_144;
    const THIN: u64 = 600_000;

    fn chunk(index: u64) -> ByteRange {
        ByteRange::new(index * CHUNK, (index + 1) * CHUNK)
    }

    fn reader_of_the_start(goes_on: bool) -> Readers {
        let mut readers = Readers::default();
        readers.open(ReaderId(0), ByteRange::new(0, 8 * CHUNK), goes_on, false, Timestamp(0));
        readers
    }

    #[test]
    fn on_a_thin_line_only_what_a_player_plays_next_is_pressing() {
        let mut readers = reader_of_the_start(true);
        assert!(!readers.can_wait(chunk(5), THIN));
        assert!(readers.can_wait(chunk(6), THIN));
        assert!(!readers.can_wait(chunk(6), ASSUMED_PACE), "the line carries more than it plays");

        readers.advance(ReaderId(0), CHUNK, false, Timestamp(400));
        assert!(!readers.can_wait(chunk(6), THIN), "it has moved on");
    }

    #[test]
    fn a_player_that_has_been_ahead_of_its_playhead_wants_all_that_it_may_have() {
        let mut readers = reader_of_the_start(true);
        readers.arrived(chunk(0), Timestamp(100));
        readers.advance(ReaderId(0), CHUNK, true, Timestamp(100));
        assert!(readers.can_wait(chunk(20), THIN));
        readers.advance(ReaderId(0), 2 * CHUNK, true, Timestamp(600));
        assert!(!readers.can_wait(chunk(20), THIN));
    }

    #[test]
    fn what_waits_for_a_player_does_not_wait_for_somebody_else() {
        let mut readers = reader_of_the_start(true);
        readers.open(ReaderId(1), chunk(7), false, false, Timestamp(0));
        assert!(!readers.can_wait(chunk(7), THIN));
        assert!(readers.can_wait(chunk(6), THIN));
        assert!(!reader_of_the_start(false).can_wait(chunk(7), THIN), "an image is needed whole");
    }

    #[test]
    fn what_plays_is_due_when_a_thin_line_can_have_brought_it_from_the_start_of_playback() {
        let mut readers = reader_of_the_start(true);
        // It could start at 4 s, when the origin alone would have brought seven chunks.
        readers.advance(ReaderId(0), 4 * CHUNK, false, Timestamp(4000));
        let mut origin = OriginPace::default();
        origin.answered(Timestamp(0), Timestamp(0));
        origin.delivered(500_000, Timestamp(1000));
        let slack = Slack { fixed: Duration::from_millis(3000), percent: 0 };
        let due = |line| readers.deadline(chunk(6), &origin, line, slack);
        assert_eq!(due(THIN), Timestamp(4000) + transfer(6 * CHUNK, THIN));
        assert_eq!(due(2_000_000), Timestamp(4000) + transfer(6 * CHUNK, ASSUMED_PACE));
    }
}
