//! Looks at every batch of a segment when the log is opened, and tells a torn tail from damage.
//!
//! What was written after the last sync before a crash may be there in any pattern; what was written before is whole.
//! Every batch says up to where its segment was durable when it was written. So a place that is not what was written
//! - is damage if it is in a segment that another follows, since a segment is synced before the next one begins;
//! - is damage if any batch behind it says that the segment was durable beyond that place;
//! - is a torn tail otherwise. It is cut off there, whatever is behind, since nobody was told that it is durable.

use crate::config::{Position, Seq};
use crate::engine::StoreError;
use crate::engine::durable::files::{self, failed};
use crate::engine::durable::log::batch::{self, ALIGNMENT, Header};
use crate::engine::durable::log::segment::{Preface, Segment};
use crate::engine::durable::log::window::Window;
use crate::epochs::EpochHistory;

/// Read from the disk at once.
const PIECE_BYTES: usize = 1 << 20;

/// What the batches of a segment say.
#[derive(Debug)]
pub(super) struct Scanned {
    /// Behind the last entry.
    pub(super) end: Position,
    /// The epochs of all entries before it.
    pub(super) history: EpochHistory,
    /// The highest position known to be committed.
    pub(super) committed: Position,
}

/// Takes up the batches of a segment that another follows, which begins at `until`.
pub(super) fn closed(
    segment: &mut Segment,
    preface: &Preface,
    until: Position,
) -> Result<(), StoreError> {
    let mut walk = Walk::new(preface);
    walk.run(segment, Some(until))?;
    if walk.scanned.end < until {
        return Err(segment.damaged(
            segment.written(),
            format!(
                "the entries {} to {until} are not what was written",
                walk.scanned.end
            ),
        ));
    }
    Ok(())
}

/// Takes up the batches of the last segment, cuts off a torn tail, and makes what is left durable.
pub(super) fn last(segment: &mut Segment, preface: &Preface) -> Result<Scanned, StoreError> {
    let mut walk = Walk::new(preface);
    walk.run(segment, None)?;
    let rest = look_behind(segment)?;
    if let Some(offset) = rest.witness {
        return Err(segment.damaged(
            segment.written(),
            format!(
                "the batch with entry {} is not what was written, but was durable when the one at byte {offset} was written",
                walk.scanned.end
            ),
        ));
    }
    let written = segment.written();
    // A process before this one may have failed to sync its last batches and left them in the page cache, which then
    // takes them for synced: only what is written again is certain to reach the disk.
    if !planted!(FoundUnsynced) {
        rewrite(segment, walk.durable.max(segment.data), written)?;
    }
    if !planted!(TornTailStays) {
        files::zero(&*segment.file, written, rest.end.max(written))
            .map_err(failed("write", &segment.path))?;
    }
    segment.sync_always()?;
    Ok(walk.scanned)
}

struct Walk {
    scanned: Scanned,
    /// Up to here the segment was durable when its last batch was written.
    durable: u64,
}

impl Walk {
    fn new(preface: &Preface) -> Self {
        Self {
            scanned: Scanned {
                end: preface.first,
                history: preface.history.clone(),
                committed: preface.committed,
            },
            durable: 0,
        }
    }

    /// Takes up batches as long as they are what was written, up to `until` at most.
    fn run(&mut self, segment: &mut Segment, until: Option<Position>) -> Result<(), StoreError> {
        let file = segment.file.clone();
        let mut window = Window::new(&*file, segment.piece(PIECE_BYTES));
        while until.is_none_or(|until| self.scanned.end < until) {
            let header = intact_at(&mut window, segment, segment.written())?;
            let next = header.filter(|header| {
                segment.is_next(header)
                    && header.first == self.scanned.end
                    && header.epoch >= self.scanned.history.last_epoch()
            });
            let Some(header) = next else {
                return Ok(());
            };
            segment.take_up(&header);
            let Scanned {
                end,
                history,
                committed,
            } = &mut self.scanned;
            history.append(header.epoch, Seq(header.first.0));
            *end = header.end();
            *committed = header.committed.max(*committed);
            self.durable = header.durable;
        }
        Ok(())
    }
}

/// The header of the batch at `offset`, if there is one and it is intact.
fn intact_at(
    window: &mut Window<'_>,
    segment: &Segment,
    offset: u64,
) -> Result<Option<Header>, StoreError> {
    let header = window
        .at(offset, batch::HEADER_BYTES)
        .map_err(failed("read", &segment.path))?
        .first_chunk()
        .map(Header::decode);
    let Some(header) = header.filter(|header| header.salt == segment.salt()) else {
        return Ok(None);
    };
    // A length that was never written must not make this allocate more than the file has.
    if header.total_bytes() > segment.room().max(segment.written()) {
        return Ok(None);
    }
    let bytes = window
        .at(offset, batch::HEADER_BYTES + header.body_bytes as usize)
        .map_err(failed("read", &segment.path))?;
    Ok(batch::is_intact(&header, bytes).then_some(header))
}

/// What is behind the last batch that was taken up.
struct Rest {
    /// Everything from here on is zero.
    end: u64,
    /// The place of a batch that says that the segment was durable beyond that last batch.
    witness: Option<u64>,
}

fn look_behind(segment: &Segment) -> Result<Rest, StoreError> {
    let piece = segment.piece(PIECE_BYTES);
    let mut window = Window::new(&*segment.file, piece);
    let mut batches = Window::new(&*segment.file, piece);
    let mut rest = Rest {
        end: segment.written(),
        witness: None,
    };
    let mut offset = segment.written();
    loop {
        let bytes = window
            .at(offset, piece)
            .map_err(failed("read", &segment.path))?;
        if bytes.is_empty() {
            return Ok(rest);
        }
        for (index, word) in bytes.chunks(ALIGNMENT as usize).enumerate() {
            let place = offset + index as u64 * ALIGNMENT;
            if word.iter().any(|byte| *byte != 0) {
                rest.end = place + word.len() as u64;
            }
            if *word == segment.salt().to_le_bytes() && rest.witness.is_none() {
                let witness = intact_at(&mut batches, segment, place)?
                    .filter(|header| header.durable > segment.written());
                rest.witness = witness.map(|_| place);
            }
        }
        offset += bytes.len() as u64;
    }
}

/// Writes what is there from `start` to `end` again.
fn rewrite(segment: &Segment, start: u64, end: u64) -> Result<(), StoreError> {
    let piece = segment.piece(PIECE_BYTES);
    let mut window = Window::new(&*segment.file, piece);
    let mut offset = start;
    while offset < end {
        let length = (end - offset).min(piece as u64) as usize;
        let bytes = window
            .at(offset, length)
            .map_err(failed("read", &segment.path))?;
        segment
            .file
            .write_all_at(bytes, offset)
            .map_err(failed("write", &segment.path))?;
        offset += bytes.len() as u64;
    }
    Ok(())
}
