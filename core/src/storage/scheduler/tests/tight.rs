//! A log and a state that run out of room.

use super::*;

/// What has no room at the moment.
#[derive(Default)]
pub(super) struct Room(Mutex<Full>);

impl Room {
    pub(super) fn set_full(&self, what: Full) {
        *self.0.lock().unwrap() = what;
    }

    fn ask(&self, what: Full) -> Result<(), StoreError> {
        if *self.0.lock().unwrap() == what {
            let path = "bench".into();
            return Err(StoreError::NoRoom { path });
        }
        Ok(())
    }
}

pub(super) struct TightLog<'a> {
    pub(super) inner: &'a mut MemoryLog,
    pub(super) room: &'a Room,
}

impl LogStore for TightLog<'_> {
    fn append(&mut self, entries: &[Arc<Entry>], committed: Position) -> Result<(), StoreError> {
        self.room.ask(Full::Log)?;
        self.inner.append(entries, committed)
    }

    fn truncate(&mut self, end: Position) -> Result<(), StoreError> {
        self.inner.truncate(end)
    }

    fn reset(&mut self, start: Position, history: &EpochHistory) -> Result<(), StoreError> {
        self.room.ask(Full::Reset)?;
        self.inner.reset(start, history)
    }

    fn trim(&mut self, before: Position, bytes_max: u64) -> Result<Position, StoreError> {
        self.inner.trim(before, bytes_max)
    }

    fn save_meta(&mut self, meta: &Meta) -> Result<(), StoreError> {
        self.room.ask(Full::Log)?;
        self.inner.save_meta(meta)
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        self.inner.sync()
    }

    fn read(&mut self, from: Position, bytes_max: usize) -> Result<Vec<Arc<Entry>>, StoreError> {
        self.inner.read(from, bytes_max)
    }

    fn start(&self) -> Position {
        self.inner.start()
    }

    fn end(&self) -> Position {
        self.inner.end()
    }

    fn history(&self) -> &EpochHistory {
        self.inner.history()
    }

    fn committed_hint(&self) -> Position {
        self.inner.committed_hint()
    }

    fn meta(&self) -> &Meta {
        self.inner.meta()
    }

    fn path(&self) -> &Path {
        self.inner.path()
    }
}

pub(super) struct TightEngine<'a>(pub(super) &'a MemoryEngine, pub(super) &'a Room);

impl Engine for TightEngine<'_> {
    fn applied(&self) -> Position {
        self.0.applied()
    }

    fn apply(&self, entries: &[Arc<Entry>], sessions: &SessionChanges) -> Result<(), StoreError> {
        self.1.ask(Full::State)?;
        self.0.apply(entries, sessions)
    }

    fn revision(&self) -> Revision {
        self.0.revision()
    }

    fn checkpoint(&self) -> Result<Position, StoreError> {
        self.1.ask(Full::Checkpoint)?;
        self.0.checkpoint()
    }

    fn read(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        self.0.read(key)
    }

    fn sessions(&self) -> Result<SessionRows, StoreError> {
        self.0.sessions()
    }

    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        self.0.view()
    }

    fn stage_begin(&self) -> Result<(), StoreError> {
        self.1.ask(Full::Stage)?;
        self.0.stage_begin()
    }

    fn stage(&self, records: &[Keyed], sessions: &SessionRows) -> Result<(), StoreError> {
        self.1.ask(Full::Stage)?;
        self.0.stage(records, sessions)
    }

    fn install(&self, at: Moment, history: &EpochHistory) -> Result<(), StoreError> {
        self.1.ask(Full::Install)?;
        self.0.install(at, history)
    }

    fn installed(&self) -> Option<(Position, EpochHistory)> {
        self.0.installed()
    }
}
