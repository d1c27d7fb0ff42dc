//! What an engine keeps of sessions.

use std::ops::Range;

use lockstep_core::config::{Owner, Position, Seq};
use lockstep_core::epochs::EpochHistory;
use lockstep_core::limits;
use lockstep_core::operation::{ClientId, Decided, RequestId, Revision, Verdict};
use lockstep_core::sessions::{SessionChanges, SessionRow, SessionRows};

use super::Subject;
use super::tools::{apply, moment, records, stage, state};
use crate::conformance::insert;

/// A client with as many requests, the last of them in the entry `last`.
fn row(last: u64, requests: u64) -> SessionRow {
    later_results(last, 0..requests)
}

/// What entries up to `last` have added of the client's requests.
fn later_results(last: u64, requests: Range<u64>) -> SessionRow {
    let end = requests.end;
    let done = |id| {
        let seq = Seq(last.saturating_sub(end - 1 - id));
        let verdict = match id % 2 {
            0 => Verdict::Executed,
            _ => Verdict::Cancelled,
        };
        let decided = Decided {
            seq,
            revision: Revision(seq.0 / 2),
            verdict,
        };
        (RequestId(id), decided)
    };
    SessionRow {
        owner: Owner(last as u32),
        floor: RequestId(0),
        last: Seq(last),
        results: requests.map(done).collect(),
    }
}

fn sessions(rows: &[(u64, SessionRow)], forgotten: u64) -> SessionRows {
    let rows = rows.iter().cloned();
    SessionRows {
        rows: rows.map(|(client, row)| (ClientId(client), row)).collect(),
        forgotten: Position(forgotten),
    }
}

fn changes(rows: &[(u64, Option<SessionRow>)], forgotten: u64) -> SessionChanges {
    let rows = rows.iter().cloned();
    SessionChanges {
        rows: rows.map(|(client, row)| (ClientId(client), row)).collect(),
        forgotten: Position(forgotten),
    }
}

pub(super) fn sessions_change_with_the_entries(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    assert_eq!(engine.sessions().unwrap(), SessionRows::default());
    let both = [(1, Some(row(0, 1))), (u64::MAX, Some(row(1, 2)))];
    let entries = [insert(1, 0, "a", "1"), insert(1, 1, "b", "1")];
    engine.apply(&entries, &changes(&both, 0)).unwrap();
    let first = sessions(&[(1, row(0, 1)), (u64::MAX, row(1, 2))], 0);
    assert_eq!(engine.sessions().unwrap(), first);
    let records = records(&[("a", "1"), ("b", "1")]);
    assert_eq!(state(&*engine), records, "sessions are no records");
    let view = engine.view().unwrap();
    let later = [(1, None), (2, Some(row(2, 3)))];
    let entries = [insert(1, 2, "a", "1")];
    engine.apply(&entries, &changes(&later, 1)).unwrap();
    assert_eq!(view.sessions(None).unwrap().sessions, first);
    let second = sessions(&[(2, row(2, 3)), (u64::MAX, row(1, 2))], 1);
    assert_eq!(engine.sessions().unwrap(), second);
    engine.checkpoint().unwrap();
    drop(view);
    let engine = subject.reopen(engine);
    assert_eq!(engine.sessions().unwrap(), second);
    apply(&*engine, &[insert(1, 3, "a", "1")]).unwrap();
    assert_eq!(engine.sessions().unwrap(), second, "nothing changed");
    // Changes have the results that were added; what lies below the floor goes.
    let added = SessionRow {
        floor: RequestId(1),
        ..later_results(4, 2..3)
    };
    let entries = [insert(1, 4, "a", "1")];
    let third = changes(&[(u64::MAX, Some(added.clone()))], 1);
    engine.apply(&entries, &third).unwrap();
    let mut row_of_max = row(1, 2);
    row_of_max.extend(&added);
    assert_eq!(row_of_max.results.len(), 2);
    let third = sessions(&[(2, row(2, 3)), (u64::MAX, row_of_max)], 1);
    assert_eq!(engine.sessions().unwrap(), third);
    let whole = engine.view().unwrap().sessions(None).unwrap();
    assert_eq!(whole.sessions, third);
    engine.checkpoint().unwrap();
    let engine = subject.reopen(engine);
    assert_eq!(engine.sessions().unwrap(), third);
    engine.stage_begin().unwrap();
    engine.stage(&[], &sessions(&[(7, row(9, 1))], 4)).unwrap();
    engine.stage_begin().unwrap();
    engine.stage(&[], &sessions(&[(3, row(9, 4))], 6)).unwrap();
    engine.stage(&[], &sessions(&[(4, row(8, 1))], 6)).unwrap();
    stage(&*engine, &records).unwrap();
    assert_eq!(engine.sessions().unwrap(), third);
    engine.install(moment(10), &EpochHistory::new()).unwrap();
    let installed = sessions(&[(3, row(9, 4)), (4, row(8, 1))], 6);
    assert_eq!(engine.sessions().unwrap(), installed);
    let engine = subject.reopen(engine);
    assert_eq!(engine.sessions().unwrap(), installed);
    assert_eq!(state(&*engine), records);
}

pub(super) fn sessions_come_in_pages(subject: &mut dyn Subject) {
    let engine = subject.fresh();
    let requests = 4096;
    let rows: Vec<_> = (0..9)
        .map(|client| (client, Some(row(1 << 40, requests))))
        .collect();
    engine
        .apply(&[insert(1, 0, "a", "1")], &changes(&rows, 5))
        .unwrap();
    let view = engine.view().unwrap();
    let mut found = SessionRows::default();
    loop {
        let page = view
            .sessions(found.rows.last_key_value().map(|(client, _)| *client))
            .unwrap();
        assert_eq!(page.sessions.forgotten, Position(5));
        let sizes = page.sessions.rows.values().map(SessionRow::size);
        assert!(sizes.sum::<usize>() <= limits::CHUNK_BYTES_MAX);
        assert!(page.sessions.rows.keys().all(|client| {
            let last = found.rows.last_key_value();
            last.is_none_or(|last| last.0 < client)
        }));
        found.extend(page.sessions);
        if !page.more {
            break;
        }
    }
    assert_eq!(found, engine.sessions().unwrap());
    assert_eq!(found.rows.len(), 9);
}
