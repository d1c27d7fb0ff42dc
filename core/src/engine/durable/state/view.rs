//! A state held fixed: a snapshot of fjall's, and the tables that were over it at that moment.

use std::iter;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::{Keyspace, Readable, Snapshot};

use crate::config::Position;
use crate::engine::durable::directory::DataDir;
use crate::engine::{Page, SessionPage, StoreError, View};
use crate::operation::{Change, ClientId, Key, Keyed, Moment, Record};
use crate::range::KeyRange;
use crate::sessions::SessionRow;

use super::codec::{self, FORGOTTEN, REACHED, decode, failed};
use super::overlay::{self, Rows};
use super::table::Table;

/// Tables over a snapshot, the newest last.
pub(super) struct Layers {
    pub(super) path: PathBuf,
    pub(super) state: Keyspace,
    pub(super) snapshot: Snapshot,
    pub(super) tables: Vec<Arc<Table>>,
}

impl Layers {
    /// The moment this is of.
    pub(super) fn reached(&self) -> Result<Moment, StoreError> {
        match self.tables.last() {
            Some(table) => Ok(table.reached),
            None => codec::noted(&self.path, self.snapshot.get(&self.state, REACHED)),
        }
    }

    pub(super) fn forgotten(&self) -> Result<Position, StoreError> {
        let noted = codec::noted(&self.path, self.snapshot.get(&self.state, FORGOTTEN))?;
        let tables = self.tables.iter().map(|table| table.sessions.forgotten);
        Ok(tables.fold(noted, Position::max))
    }

    /// Records of the range, as many as one page takes and at most `limit`.
    pub(super) fn page(
        &self,
        range: &KeyRange,
        limit: Option<NonZeroU32>,
    ) -> Result<Page, StoreError> {
        let records = overlay::present(self.records(range));
        Page::collect(records.map(|record| record.map(Keyed::from)), limit)
    }

    /// Sessions behind `after`.
    pub(super) fn sessions(
        &self,
        after: Option<ClientId>,
    ) -> impl Iterator<Item = Result<(ClientId, SessionRow), StoreError>> {
        let range = codec::sessions_behind(after);
        let found = self.snapshot.range::<Vec<u8>, _>(&self.state, range);
        let path = &self.path;
        let older: Rows<'_, ClientId, SessionRow> =
            Box::new(found.map(move |row| session(path, row)));
        let rows = self.tables.iter().fold(older, |rows, table| {
            let changes = table.sessions_behind(after);
            let changes = changes.map(|(client, row)| (*client, row.clone()));
            overlay::lay_by(rows, changes, |mut row, change| {
                row.extend(&change);
                row
            })
        });
        overlay::present(rows)
    }

    fn records<'a>(&'a self, range: &'a KeyRange) -> Rows<'a, Key, Record> {
        let Some(ends) = codec::records_of(range) else {
            return Box::new(iter::empty());
        };
        let found = self.snapshot.range::<Vec<u8>, _>(&self.state, ends);
        let path = &self.path;
        let older: Rows<'_, Key, Record> = Box::new(found.map(move |row| record(path, row)));
        self.tables.iter().fold(older, |rows, table| {
            let changes = table.records_of(range).iter().cloned();
            overlay::lay(rows, changes.map(|Change { key, record }| (key, record)))
        })
    }
}

fn record(path: &Path, row: fjall::Guard) -> overlay::Row<Key, Record> {
    let (key, record) = row.into_inner().map_err(failed("read the state"))?;
    Ok((Key::from(&key[1..]), Some(decode(path, &record)?)))
}

fn session(path: &Path, row: fjall::Guard) -> overlay::Row<ClientId, SessionRow> {
    let (key, row) = row.into_inner().map_err(failed("read the state"))?;
    let client = codec::client_of(path, &key)?;
    Ok((client, Some(decode(path, &row)?)))
}

/// A state held fixed, which holds the data directory too.
pub(super) struct FjallView {
    at: Moment,
    forgotten: Position,
    layers: Layers,
    _directory: Arc<DataDir>,
}

impl FjallView {
    pub(super) fn new(layers: Layers, directory: Arc<DataDir>) -> Result<Self, StoreError> {
        Ok(Self {
            at: layers.reached()?,
            forgotten: layers.forgotten()?,
            layers,
            _directory: directory,
        })
    }
}

impl View for FjallView {
    fn at(&self) -> Moment {
        self.at
    }

    fn records(&self) -> u64 {
        let changed = self.layers.tables.iter().map(|table| table.len());
        (self.layers.state.approximate_len() + changed.sum::<usize>()) as u64
    }

    fn scan(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Result<Page, StoreError> {
        self.layers.page(range, limit)
    }

    fn sessions(&self, after: Option<ClientId>) -> Result<SessionPage, StoreError> {
        SessionPage::collect(self.layers.sessions(after), self.forgotten)
    }
}
