//! Answers to questions about the state. Gets have threads of their own; scans and views share one, so that a long
//! transfer delays other transfers and no Get.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, mpsc};

use async_channel::{Receiver, Sender};

use crate::engine::{Engine, StoreError, View};
use crate::operation::Key;
use crate::storage::{Answer, Cursor, Ticket};

use super::{Completion, send};

/// The process's side of the Gets: what memory has is answered at once, the rest by the readers.
pub(super) struct Gets {
    engine: Arc<dyn Engine>,
    queue: Sender<(Ticket, Key)>,
    answers: Vec<(Ticket, Answer)>,
}

impl Gets {
    /// With what the readers are to take from.
    pub(super) fn new(engine: Arc<dyn Engine>) -> (Self, Receiver<(Ticket, Key)>) {
        let (queue, gets) = async_channel::unbounded();
        let answers = Vec::new();
        (
            Self {
                engine,
                queue,
                answers,
            },
            gets,
        )
    }

    pub(super) fn ask(&mut self, ticket: Ticket, key: Key) {
        match self.engine.peek(&key) {
            Some(value) => self.answers.push((ticket, Answer::Value(value))),
            None => {
                // Fails only when the readers have ended, and they have told why.
                let _ended = self.queue.try_send((ticket, key));
            }
        }
    }

    /// Takes what memory had.
    pub(super) fn take_answers(&mut self) -> Vec<(Ticket, Answer)> {
        std::mem::take(&mut self.answers)
    }
}

impl fmt::Debug for Gets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gets").finish_non_exhaustive()
    }
}

/// Gets answered before the answers are handed back, so that the first need not wait for too many others.
const GETS_AT_ONCE: usize = 64;

/// Answers Gets.
pub(super) struct Reader {
    engine: Arc<dyn Engine>,
    gets: Receiver<(Ticket, Key)>,
    report: Sender<Completion>,
}

impl Reader {
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        gets: Receiver<(Ticket, Key)>,
        report: Sender<Completion>,
    ) -> Self {
        Self {
            engine,
            gets,
            report,
        }
    }

    pub(super) fn run(self) -> Result<(), StoreError> {
        while let Ok(first) = self.gets.recv_blocking() {
            let mut answers = Vec::new();
            let mut next = Some(first);
            while let Some((ticket, key)) = next {
                answers.push((ticket, Answer::Value(self.engine.read(&key)?)));
                next = match answers.len() < GETS_AT_ONCE {
                    true => self.gets.try_recv().ok(),
                    false => None,
                };
            }
            send(&self.report, Completion::Answered(answers));
        }
        Ok(())
    }
}

/// What the bulk thread does.
#[derive(Debug)]
pub(super) enum BulkRequest {
    Scan {
        ticket: Ticket,
        after: Option<Key>,
        limit: Option<NonZeroU32>,
    },
    OpenView {
        ticket: Ticket,
    },
    ReadView {
        ticket: Ticket,
        view: Ticket,
        after: Cursor,
    },
    CloseView {
        view: Ticket,
    },
}

/// Answers scans, and owns the views.
pub(super) struct BulkThread {
    engine: Arc<dyn Engine>,
    report: Sender<Completion>,
    views: BTreeMap<Ticket, Box<dyn View>>,
}

impl BulkThread {
    pub(super) fn new(engine: Arc<dyn Engine>, report: Sender<Completion>) -> Self {
        Self {
            engine,
            report,
            views: BTreeMap::new(),
        }
    }

    pub(super) fn run(
        mut self,
        requests: &mpsc::Receiver<Vec<BulkRequest>>,
    ) -> Result<(), StoreError> {
        for request in requests.iter().flatten() {
            if let Some(answer) = self.answer(request)? {
                send(&self.report, Completion::Answered(vec![answer]));
            }
        }
        Ok(())
    }

    fn answer(&mut self, request: BulkRequest) -> Result<Option<(Ticket, Answer)>, StoreError> {
        let (ticket, page) = match request {
            BulkRequest::Scan {
                ticket,
                after,
                limit,
            } => (ticket, self.engine.scan(after.as_ref(), limit)?),
            BulkRequest::OpenView { ticket } => {
                let view = self.engine.view()?;
                let answer = Answer::View {
                    at: view.at(),
                    records: view.records(),
                };
                self.views.insert(ticket, view);
                return Ok(Some((ticket, answer)));
            }
            BulkRequest::ReadView {
                ticket,
                view,
                after,
            } => {
                let Some(view) = self.views.get(&view) else {
                    // The process let go of the view after it had asked, and waits for no answer.
                    return Ok(None);
                };
                match after {
                    Cursor::Records(after) => (ticket, view.scan(after.as_ref())?),
                    Cursor::Sessions(after) => {
                        let page = view.sessions(after)?;
                        let answer = Answer::Sessions {
                            sessions: page.sessions,
                            more: page.more,
                        };
                        return Ok(Some((ticket, answer)));
                    }
                }
            }
            BulkRequest::CloseView { view } => {
                self.views.remove(&view);
                return Ok(None);
            }
        };
        let answer = Answer::Page {
            records: page.records,
            more: page.more,
        };
        Ok(Some((ticket, answer)))
    }
}
