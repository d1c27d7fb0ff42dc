//! States held fixed, and read piece by piece: first what is remembered of requests, then the records.

use crate::operation::Keyed;
use crate::process::Effect;
use crate::range::KeyRange;
use crate::replica::context::Context;
use crate::sessions::SessionRows;
use crate::storage::{Answer, Cursor, Query, Ticket};

/// A state that is held fixed until it is closed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::replica) struct View {
    ticket: Ticket,
    /// What was not read; `None` if nothing is left.
    rest: Option<Cursor>,
    reading: Option<Ticket>,
}

/// A piece of a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::replica) struct Piece {
    pub(in crate::replica) sessions: SessionRows,
    pub(in crate::replica) records: Vec<Keyed>,
    pub(in crate::replica) is_last: bool,
}

/// Asks for the present state to be held fixed, under the ticket that is returned.
pub(in crate::replica) fn open(cx: &mut Context<'_>) -> Ticket {
    cx.query(Query::OpenView)
}

/// Lets go of what was asked for under `ticket`, whether that has been answered or not.
pub(in crate::replica) fn close(cx: &mut Context<'_>, ticket: Ticket) {
    cx.out.push(Effect::CloseView(ticket));
}

impl View {
    /// The state that is held fixed under `ticket`.
    pub(in crate::replica) fn new(ticket: Ticket) -> Self {
        let begin = planted!(
            SessionsNotTransferred => Cursor::Records(KeyRange::all()),
            Cursor::Sessions(None)
        );
        Self {
            ticket,
            rest: Some(begin),
            reading: None,
        }
    }

    pub(in crate::replica) fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Was all of it read?
    pub(in crate::replica) fn is_read(&self) -> bool {
        self.rest.is_none()
    }

    /// Asks for the next piece, unless one is on its way or there is none.
    pub(in crate::replica) fn read_on(&mut self, cx: &mut Context<'_>) {
        if let (None, Some(rest)) = (self.reading, &self.rest) {
            let query = Query::ReadView {
                view: self.ticket,
                after: rest.clone(),
            };
            self.reading = Some(cx.query(query));
        }
    }

    /// The storage answered: the piece, if that was asked for here.
    pub(in crate::replica) fn on_answered(
        &mut self,
        ticket: Ticket,
        answer: &Answer,
    ) -> Option<Piece> {
        self.reading.take_if(|reading| *reading == ticket)?;
        let (mut sessions, mut records) = (SessionRows::default(), Vec::new());
        self.rest = match answer {
            Answer::Sessions(page) => {
                sessions = page.sessions.clone();
                let last = sessions.rows.last_key_value().filter(|_| page.more);
                Some(match last {
                    Some((last, _)) => Cursor::Sessions(Some(*last)),
                    None => Cursor::Records(KeyRange::all()),
                })
            }
            Answer::Page(page) => {
                records = page.records.clone();
                let last = records.last().filter(|_| page.more);
                last.map(|last| Cursor::Records(KeyRange::behind(last.key.clone())))
            }
            Answer::Record(_) | Answer::Entries(_) | Answer::View { .. } | Answer::Failed(_) => {
                unreachable!("the storage answers what it was asked")
            }
        };
        Some(Piece {
            sessions,
            records,
            is_last: self.is_read(),
        })
    }
}
