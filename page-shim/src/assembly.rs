//! Pieces become a chunk. The bytes stay in JavaScript's memory; what is kept
//! here is which pieces have come.

use dcdn_protocol::message::peer::PIECE_SIZE;
use js_sys::{ArrayBuffer, Uint8Array};

/// A chunk on its way in.
#[derive(Debug)]
pub struct Assembly {
    pieces: PieceMap,
    /// Made when the first piece comes: a request that is never answered costs nothing.
    bytes: Option<Uint8Array>,
}

/// What a piece has done.
#[derive(Debug)]
pub enum Placed {
    /// It is in its place; so many bytes have come.
    Partial(u32),
    /// It was the last one: this is the chunk.
    Whole(ArrayBuffer),
    /// It had come before.
    Again,
}

impl Assembly {
    /// For a chunk of `size` bytes.
    pub fn new(size: u32) -> Self {
        Self { pieces: PieceMap::new(size), bytes: None }
    }

    /// Puts a piece in its place.
    ///
    /// # Errors
    /// [`NotAPiece`] if it is none of this chunk's.
    pub fn place(
        &mut self,
        offset: u32,
        size: u32,
        body: &Uint8Array,
    ) -> Result<Placed, NotAPiece> {
        if !self.pieces.accept(offset, size, body.length())? {
            return Ok(Placed::Again);
        }
        let bytes = self.bytes.get_or_insert_with(|| Uint8Array::new_with_length(size));
        bytes.set(body, offset);
        if self.pieces.is_whole() {
            return Ok(Placed::Whole(bytes.buffer()));
        }
        Ok(Placed::Partial(self.pieces.received()))
    }

    /// The chunk's first bytes, as far as they have come without a gap. `None` if
    /// the first piece has not.
    pub fn into_prefix(self) -> Option<ArrayBuffer> {
        let len = self.pieces.prefix();
        let bytes = self.bytes.filter(|_| len > 0)?;
        Some(bytes.buffer().slice_with_end(0, len))
    }
}

/// Which pieces of a chunk have come.
#[derive(Debug)]
pub struct PieceMap {
    size: u32,
    received: u32,
    have: Vec<bool>,
}

impl PieceMap {
    /// Nothing yet of a chunk of `size` bytes.
    pub fn new(size: u32) -> Self {
        Self { size, received: 0, have: vec![false; size.div_ceil(PIECE_SIZE) as usize] }
    }

    /// Notes the piece of `len` bytes at `offset` of a chunk of `size` bytes, as
    /// its sender describes it. False if it had come before.
    ///
    /// # Errors
    /// [`NotAPiece`] unless it is exactly one of the pieces that this chunk is cut into.
    pub fn accept(&mut self, offset: u32, size: u32, len: u32) -> Result<bool, NotAPiece> {
        if size != self.size {
            return Err(NotAPiece::Size);
        }
        let index = (offset / PIECE_SIZE) as usize;
        let Some(have) = self.have.get_mut(index).filter(|_| offset.is_multiple_of(PIECE_SIZE))
        else {
            return Err(NotAPiece::Offset);
        };
        // The index exists, so the offset is below the size.
        if len != PIECE_SIZE.min(self.size - offset) {
            return Err(NotAPiece::Length);
        }
        if std::mem::replace(have, true) {
            return Ok(false);
        }
        self.received += len;
        Ok(true)
    }

    /// Bytes that have come.
    pub fn received(&self) -> u32 {
        self.received
    }

    /// Bytes that have come from the chunk's start without a gap.
    pub fn prefix(&self) -> u32 {
        let pieces = self.have.iter().take_while(|have| **have).map(|_| PIECE_SIZE);
        pieces.sum::<u32>().min(self.size)
    }

    /// Whether all have.
    pub fn is_whole(&self) -> bool {
        self.received == self.size
    }
}

/// A piece that does not belong to the chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPiece {
    /// Its chunk has another size than the one asked for.
    #[error("the chunk has another size")]
    Size,
    /// It does not start where a piece starts.
    #[error("no piece starts at this offset")]
    Offset,
    /// It is not as long as the piece that starts there.
    #[error("the piece has another length")]
    Length,
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = PIECE_SIZE * 2 + 10;

    #[test]
    fn a_chunk_is_whole_when_each_piece_has_come_once_in_any_order() {
        let mut map = PieceMap::new(SIZE);
        assert_eq!(map.accept(PIECE_SIZE * 2, SIZE, 10), Ok(true));
        assert_eq!(map.accept(0, SIZE, PIECE_SIZE), Ok(true));
        assert_eq!(map.accept(0, SIZE, PIECE_SIZE), Ok(false));
        assert_eq!(map.received(), PIECE_SIZE + 10);
        assert!(!map.is_whole());
        assert_eq!(map.accept(PIECE_SIZE, SIZE, PIECE_SIZE), Ok(true));
        assert!(map.is_whole());
    }

    #[test]
    fn only_what_has_come_without_a_gap_counts_as_the_chunks_beginning() {
        let mut map = PieceMap::new(SIZE);
        let accept = |map: &mut PieceMap, offset, len| {
            assert_eq!(map.accept(offset, SIZE, len), Ok(true));
            map.prefix()
        };
        assert_eq!(map.prefix(), 0);
        assert_eq!(accept(&mut map, PIECE_SIZE, PIECE_SIZE), 0);
        assert_eq!(accept(&mut map, 0, PIECE_SIZE), PIECE_SIZE * 2);
        assert_eq!(accept(&mut map, PIECE_SIZE * 2, 10), SIZE);
    }

    #[test]
    fn a_piece_of_a_chunk_of_another_size_is_refused() {
        assert_eq!(PieceMap::new(SIZE).accept(0, SIZE + 1, PIECE_SIZE), Err(NotAPiece::Size));
    }

    #[test]
    fn a_piece_between_two_places_or_past_the_end_is_refused() {
        for offset in [1, PIECE_SIZE - 1, PIECE_SIZE * 3, PIECE_SIZE * 2 + 10, u32::MAX] {
            assert_eq!(PieceMap::new(SIZE).accept(offset, SIZE, 1), Err(NotAPiece::Offset));
        }
    }

    #[test]
    fn a_piece_that_is_too_short_or_too_long_is_refused() {
        for (offset, len) in
            [(0, PIECE_SIZE - 1), (0, PIECE_SIZE + 1), (PIECE_SIZE * 2, 11), (0, 0)]
        {
            assert_eq!(PieceMap::new(SIZE).accept(offset, SIZE, len), Err(NotAPiece::Length));
        }
    }

    #[test]
    fn a_chunk_as_long_as_a_piece_is_one_piece() {
        let mut map = PieceMap::new(PIECE_SIZE);
        assert_eq!(map.accept(0, PIECE_SIZE, PIECE_SIZE), Ok(true));
        assert!(map.is_whole());
        assert_eq!(map.accept(PIECE_SIZE, PIECE_SIZE, 0), Err(NotAPiece::Offset));
    }
}
