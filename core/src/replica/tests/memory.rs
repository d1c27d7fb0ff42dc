//! Reads of what memory has of the state.

use super::requests::{chunk, loading, remembered};
use super::*;
use crate::operation::Change;
use crate::sessions::SessionChanges;

/// A state that is in memory, in which "k" is set by the entry `seq`, the only one.
fn state(seq: u64, value: &str) -> MemoryEngine {
    let engine = MemoryEngine::new();
    let set = Entry::of(EPOCH.0, seq, "k", Some(value.into()));
    let applied = engine.apply(&[Arc::new(set)], &SessionChanges::default());
    applied.unwrap();
    engine
}

/// What a read of the key that the replica answers in one step finds, and whether it asks its storage.
fn read(table: &mut Table, key: &str, level: ReadLevel) -> (Option<String>, bool) {
    let body = RequestBody::Get {
        key: key.into(),
        level,
    };
    table.ask("c", 1, body);
    (found(table.replies()), table.reads_state())
}

fn found(replies: Vec<(String, u64, ReplyBody)>) -> Option<String> {
    let found = replies.into_iter().find_map(|(_, _, body)| match body {
        ReplyBody::GetResult { record, .. } => Some(record),
        _ => None,
    });
    found.map(|record| format!("{:?}", record.map(|record| record.value)))
}

#[test]
fn what_memory_has_is_answered_in_the_step_of_the_request() {
    let mut table = Table::joined(OTHER);
    table.state = Some(state(0, "old"));
    let answered = |what: &str| (Some(what.to_owned()), false);
    for level in [ReadLevel::Local, ReadLevel::AtLeast(Position::ZERO)] {
        assert_eq!(read(&mut table, "k", level), answered("Some(old)"));
        assert_eq!(read(&mut table, "absent", level), answered("None"));
    }
    let at_least = ReadLevel::AtLeast(Position(1));
    assert_eq!(read(&mut table, "k", at_least), (None, false), "too early");
    shake_hands(&mut table, 1, 0);
    table.hear_other(snapshots(1, 0..1));
    assert_eq!(read(&mut table, "k", ReadLevel::Local), answered("None"));
}

#[test]
fn what_memory_lacks_is_asked_of_the_storage() {
    let mut table = Table::joined(OTHER);
    assert_eq!(read(&mut table, "k", ReadLevel::Local), (None, true));
}

#[test]
fn memory_says_nothing_while_another_state_is_put_in_place() {
    let mut table = loading();
    table.hear_other(chunk(1, 0, true, remembered(2, 4)));
    for collected in table.persisting() {
        table.step(Input::Persisted(collected));
    }
    table.state = Some(state(0, "either"));
    assert_eq!(read(&mut table, "absent", ReadLevel::Local), (None, true));
    let replies = table.let_save();
    assert_eq!(
        found(replies),
        Some("None".to_owned()),
        "it is looked up now"
    );
}

#[test]
fn a_client_that_wants_too_much_at_once_is_told_so_and_others_are_served() {
    let value = vec![b'v'; Limits::VALUE_BYTES_CEILING / 4 - 1];
    let large = Entry {
        changes: [Change::insert("k".into(), value.into(), Revision::FIRST)].into(),
        ..Entry::of(EPOCH.0, 0, "k", None)
    };
    let state = MemoryEngine::new();
    let applied = state.apply(&[Arc::new(large)], &SessionChanges::default());
    applied.unwrap();
    let mut table = Table::joined(OTHER);
    table.state = Some(state);
    let local = |id| Request {
        origin: Origin::plain(CLIENT, RequestId(id)),
        body: RequestBody::Get {
            key: "k".into(),
            level: ReadLevel::Local,
        },
        attempt: Default::default(),
    };
    let greedy: Vec<_> = (0..9).map(|id| ("greedy", local(id))).collect();
    let wanted = [greedy, vec![("other", local(9))]].concat();
    let answered = |table: &mut Table| -> Vec<String> {
        for (from, request) in wanted.clone() {
            let from = Address::new(from);
            let message = Message::Request(request);
            table.step_within_round(Input::Message { from, message });
        }
        table.settle();
        let replies = table.replies().into_iter();
        let answers = replies.filter(|(_, _, body)| matches!(body, ReplyBody::GetResult { .. }));
        answers.map(|(to, ..)| to).collect()
    };
    let served = ["greedy", "greedy", "greedy", "greedy", "other"];
    assert_eq!(answered(&mut table), served);
    assert_eq!(answered(&mut table), served, "in the next round as well");
}
