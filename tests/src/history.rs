//! What clients asked for and what they learned of it, with the times of both.

use std::collections::BTreeMap;

use lockstep_core::message::RequestBody;
use lockstep_core::process::{CallId, Outcome};

/// One call of a client.
#[derive(Clone, Debug)]
pub struct Record {
    /// The client's node.
    pub client: usize,
    /// What it wanted.
    pub request: RequestBody,
    /// When it was asked for.
    pub begun: u64,
    /// When the outcome was learned, and what it is; `None` while it is open, or if the client crashed before.
    pub ended: Option<(u64, Outcome)>,
    /// The client crashed before it learned the outcome.
    pub is_abandoned: bool,
}

/// All calls of a simulation.
#[derive(Debug, Default)]
pub struct History {
    records: BTreeMap<CallId, Record>,
    open: BTreeMap<usize, u64>,
}

impl History {
    /// A call begins.
    pub fn begin(&mut self, id: CallId, client: usize, request: RequestBody, now: u64) {
        *self.open.entry(client).or_default() += 1;
        self.records.insert(
            id,
            Record {
                client,
                request,
                begun: now,
                ended: None,
                is_abandoned: false,
            },
        );
    }

    /// A call has its outcome.
    ///
    /// # Errors
    /// If it had one before, or was never made.
    pub fn end(&mut self, id: CallId, outcome: Outcome, now: u64) -> Result<(), String> {
        let Some(record) = self.records.get_mut(&id) else {
            return Err(format!("outcome of an unknown call: {outcome:?}"));
        };
        if let Some((_, former)) = &record.ended {
            return Err(format!(
                "{:?}: {former:?}, then {outcome:?}",
                record.request
            ));
        }
        record.ended = Some((now, outcome));
        *self.open.entry(record.client).or_default() -= 1;
        Ok(())
    }

    /// A client is gone and learns nothing any more.
    pub fn abandon(&mut self, client: usize, _now: u64) {
        self.open.insert(client, 0);
        for record in self.records.values_mut() {
            if record.client == client && record.ended.is_none() {
                record.is_abandoned = true;
            }
        }
    }

    /// Calls of a client without an outcome.
    pub fn open(&self, client: usize) -> u64 {
        self.open.get(&client).copied().unwrap_or(0)
    }

    /// The call of an id.
    pub fn record(&self, id: CallId) -> Option<&Record> {
        self.records.get(&id)
    }

    /// All calls, in the order in which they were made.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values()
    }
}
