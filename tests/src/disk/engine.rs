//! A model of the engine: the state in memory, what of it is durable, and a state that is being collected beside it.

use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard};

use lockstep_core::config::Position;
use lockstep_core::engine::{Engine, Page, SessionPage, StoreError, View};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::limits;
use lockstep_core::operation::{ClientId, Entry, Key, Keyed, Moment, Record, Revision};
use lockstep_core::range::KeyRange;
use lockstep_core::sessions::{SessionChanges, SessionRows};

use super::no_room;
use super::parts::{DiskState, Records};

/// Records in a short page.
const PAGE_RECORDS: usize = 3;

/// Clients in a short page.
const PAGE_SESSIONS: usize = 2;

/// The state of one data directory.
#[derive(Debug, Default)]
pub struct ModelEngine {
    state: Mutex<State>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
struct State {
    present: Arc<DiskState>,
    /// What a loss of power leaves at least.
    durable: Arc<DiskState>,
    staged: Option<(Records, SessionRows)>,
    installed: Option<(Position, EpochHistory)>,
    habits: Habits,
}

/// How an engine behaves at the moment, within what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Habits {
    /// There is no room for what takes some.
    pub is_full: bool,
    /// There is no room for applying either, which in memory there always is.
    pub is_apply_refused: bool,
    /// Applying has to wait for the disk.
    pub applies_late: bool,
    /// Memory has the values.
    pub is_cached: bool,
    /// How much it gives at once.
    pub pages: Pages,
}

/// How much an engine gives at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Pages {
    /// A few records or clients, so that scans and state transfers take several steps.
    #[default]
    Short,
    /// As much as is promised.
    Whole,
}

impl ModelEngine {
    /// The state as it is read.
    pub fn present(&self) -> Arc<DiskState> {
        Arc::clone(&self.state().present)
    }

    /// Is there something in the state that a loss of power may take?
    pub fn may_fall_back(&self) -> bool {
        let state = self.state();
        state.durable.applied < state.present.applied
    }

    /// A state held fixed.
    pub(super) fn view_of(state: &Arc<DiskState>, pages: Pages) -> Box<dyn View> {
        Box::new(ModelView(Arc::clone(state), pages))
    }

    /// Changes how it behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.state().habits);
    }

    /// Power is lost: all that was applied is left, or as much as was durable.
    pub fn crash(&self, falls_back: bool) {
        let mut state = self.state();
        if falls_back {
            state.present = Arc::clone(&state.durable);
        }
        state.durable = Arc::clone(&state.present);
        state.staged = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }

    fn check_room(&self) -> Result<(), StoreError> {
        match self.state().habits.is_full {
            true => Err(no_room()),
            false => Ok(()),
        }
    }
}

impl Clone for ModelEngine {
    fn clone(&self) -> Self {
        let state = Mutex::new(self.state().clone());
        Self { state }
    }
}

impl PartialEq for ModelEngine {
    fn eq(&self, other: &Self) -> bool {
        *self.state() == *other.state()
    }
}

impl Eq for ModelEngine {}

impl Hash for ModelEngine {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.state().hash(hasher);
    }
}

impl Engine for ModelEngine {
    fn applied(&self) -> Position {
        self.state().present.applied
    }

    fn revision(&self) -> Revision {
        self.state().present.revision
    }

    fn apply(&self, entries: &[Arc<Entry>], sessions: &SessionChanges) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.habits.is_apply_refused {
            return Err(no_room());
        }
        let present = Arc::make_mut(&mut state.present);
        for entry in entries {
            assert_eq!(
                Position::before(entry.seq),
                present.applied,
                "entries are applied without gaps"
            );
            for change in &entry.changes {
                check_key(&change.key);
            }
            present.apply(entry);
        }
        present.change(sessions);
        Ok(())
    }

    fn applies_at_once(&self) -> bool {
        !self.state().habits.applies_late
    }

    fn checkpoint(&self) -> Result<Position, StoreError> {
        self.check_room()?;
        let mut state = self.state();
        state.durable = Arc::clone(&state.present);
        Ok(state.durable.applied)
    }

    fn peek(&self, key: &Key) -> Option<Option<Record>> {
        let state = self.state();
        let is_cached = state.habits.is_cached;
        is_cached.then(|| state.present.records.get(key).cloned())
    }

    fn read(&self, key: &Key) -> Result<Option<Record>, StoreError> {
        Ok(self.state().present.records.get(key).cloned())
    }

    fn sessions(&self) -> Result<SessionRows, StoreError> {
        Ok(self.state().present.sessions.clone())
    }

    fn view(&self) -> Result<Box<dyn View>, StoreError> {
        let pages = self.state().habits.pages;
        Ok(Self::view_of(&self.present(), pages))
    }

    fn stage_begin(&self) -> Result<(), StoreError> {
        self.check_room()?;
        self.state().staged = Some(Default::default());
        Ok(())
    }

    fn stage(&self, records: &[Keyed], sessions: &SessionRows) -> Result<(), StoreError> {
        self.check_room()?;
        let mut state = self.state();
        let (staged, staged_sessions) = state
            .staged
            .as_mut()
            .expect("collecting a state begins with `stage_begin`");
        for Keyed { key, record } in records {
            check_key(key);
            let last = staged.last_key_value();
            assert!(
                last.is_none_or(|(last, _)| last < key),
                "records are collected in their order"
            );
            staged.insert(key.clone(), record.clone());
        }
        let last = staged_sessions.rows.last_key_value();
        let first = sessions.rows.first_key_value();
        assert!(
            !matches!((last, first), (Some(last), Some(first)) if last.0 >= first.0),
            "sessions are collected in their order"
        );
        staged_sessions.extend(sessions.clone());
        Ok(())
    }

    fn install(&self, at: Moment, history: &EpochHistory) -> Result<(), StoreError> {
        self.check_room()?;
        let mut state = self.state();
        let (records, sessions) = state
            .staged
            .take()
            .expect("collecting a state begins with `stage_begin`");
        state.present = Arc::new(DiskState {
            records,
            sessions,
            applied: at.position,
            revision: at.revision,
        });
        state.durable = Arc::clone(&state.present);
        state.installed = Some((at.position, history.clone()));
        Ok(())
    }

    fn installed(&self) -> Option<(Position, EpochHistory)> {
        self.state().installed.clone()
    }
}

struct ModelView(Arc<DiskState>, Pages);

impl View for ModelView {
    fn at(&self) -> Moment {
        Moment {
            position: self.0.applied,
            revision: self.0.revision,
        }
    }

    fn records(&self) -> u64 {
        self.0.records.len() as u64
    }

    fn scan(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError> {
        self.1.scan(&self.0, range, limit)
    }

    fn sessions(&self, after: Option<ClientId>) -> Result<SessionPage, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let sessions = &self.0.sessions;
        let rest = sessions.rows.range((start, Bound::Unbounded));
        let rest = rest.map(|(client, row)| (*client, row.clone()));
        let clients_max = match self.1 {
            Pages::Whole => return SessionPage::collect(rest.map(Ok), sessions.forgotten),
            Pages::Short => PAGE_SESSIONS,
        };
        let mut rest = rest.peekable();
        Ok(SessionPage {
            sessions: SessionRows {
                rows: rest.by_ref().take(clients_max).collect(),
                forgotten: sessions.forgotten,
            },
            more: rest.peek().is_some(),
        })
    }
}

/// The engine of programs panics for the same.
fn check_key(key: &Key) {
    let lengths = 1..=usize::from(u16::MAX);
    assert!(
        lengths.contains(&key.len()),
        "a key of {} bytes is no key of an engine",
        key.len()
    );
}

impl Pages {
    fn scan(
        self,
        state: &DiskState,
        range: &KeyRange,
        limit: Option<NonZeroU32>,
    ) -> Result<Page, StoreError> {
        let rest = range.of(&state.records);
        let rest = rest.map(|(key, record)| Ok((key.clone(), record.clone()).into()));
        let records_max = match self {
            Self::Whole => return Page::collect(rest, limit),
            Self::Short => limits::page_records_max(limit).min(PAGE_RECORDS),
        };
        let short = u32::try_from(records_max).ok().and_then(NonZeroU32::new);
        Page::collect(rest, short)
    }
}
