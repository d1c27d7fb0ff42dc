//! Pages of a state that does not have all entries of the log yet.

use std::num::NonZeroU32;

use super::*;
use crate::engine::Page;
use crate::operation::{Key, Record};
use crate::range::KeyRange;
use crate::storage::{Answer, Query};

/// A replica with a state and entries that it does not have.
struct Scanned {
    table: Table,
    state: BTreeMap<Key, Record>,
}

impl Scanned {
    /// A state with these keys; in the log the keys behind `+` are set, and those behind `-` removed.
    fn new(state: &[&str], log: &[&str]) -> Self {
        let entries = (0..).zip(log).map(|(seq, change)| {
            let (sign, key) = change.split_at(1);
            let value = (sign == "+").then(|| "log".into());
            Arc::new(Entry::of(EPOCH.0, seq, key, value))
        });
        Self {
            table: Table::recovered(OTHER, SessionRows::default(), entries.collect()),
            state: state
                .iter()
                .map(|key| {
                    let record = Record::first("state".into(), Revision::FIRST);
                    (Key::from(*key), record)
                })
                .collect(),
        }
    }

    /// What a page of the range has, and where it is to go on.
    fn page(&mut self, range: &KeyRange, limit: Option<u32>) -> (Vec<Key>, Option<Key>) {
        let limit = limit.and_then(NonZeroU32::new);
        self.table.effects.clear();
        let body = RequestBody::Scan {
            range: range.clone(),
            limit,
        };
        self.table.ask("c", 1, body);
        let asked = self.table.effects.iter().find_map(|effect| match effect {
            Effect::Query(ticket, Query::Scan { range, limit }) => {
                Some((*ticket, range.clone(), *limit))
            }
            _ => None,
        });
        let (ticket, asked, passed) = asked.expect("the state is asked");
        assert_eq!(&asked, range);
        assert_eq!(passed, limit, "the state need not read more");
        let answer = self.answer(range, limit);
        self.table.step(Input::Answered(ticket, answer));
        let replies = self.table.replies();
        let [(_, _, ReplyBody::ScanResult { records, resume })] = &replies[..] else {
            panic!("{replies:?}");
        };
        let keys = records.iter().map(|keyed| keyed.key.clone()).collect();
        (keys, resume.clone())
    }

    fn answer(&self, range: &KeyRange, limit: Option<NonZeroU32>) -> Answer {
        let mut rest = range.of(&self.state);
        let records = rest.by_ref().take(limits::page_records_max(limit));
        Answer::Page(Page {
            records: records
                .map(|(key, record)| (key.clone(), record.clone()).into())
                .collect(),
            more: rest.next().is_some(),
        })
    }
}

fn check(state: &[&str], log: &[&str], limit: Option<u32>, expected: &[&str]) {
    check_range(state, log, KeyRange::all(), limit, expected);
}

/// `expected`: the keys of each page, with spaces between them, until there are no more pages.
fn check_range(
    state: &[&str],
    log: &[&str],
    range: KeyRange,
    limit: Option<u32>,
    expected: &[&str],
) {
    let mut scanned = Scanned::new(state, log);
    let mut pages = Vec::new();
    let mut wanted = Some(range.clone());
    while let Some(rest) = wanted {
        let (keys, resume) = scanned.page(&rest, limit);
        let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        pages.push(keys.join(" "));
        wanted = resume.map(|last| rest.rest(last));
    }
    assert_eq!(
        pages, expected,
        "{range:?} of {state:?} with {log:?}, {limit:?} a page"
    );
}

const STATE: [&str; 5] = ["b", "d", "f", "h", "j"];

#[test]
fn a_page_has_as_many_records_as_were_asked_for() {
    check(&STATE, &[], Some(2), &["b d", "f h", "j"]);
    check(&STATE, &[], Some(5), &["b d f h j"]);
    check(&STATE, &[], Some(1), &["b", "d", "f", "h", "j"]);
    check(&STATE, &[], None, &["b d f h j"]);
    check(&[], &[], Some(1), &[""]);
}

#[test]
fn what_the_log_adds_goes_to_the_next_page_where_there_is_no_room() {
    let log = ["+e", "+c", "+a", "+d"];
    check(&STATE, &log, Some(2), &["a b", "c d", "e f", "h j"]);
    check(&STATE, &log, Some(3), &["a b c", "d e f", "h j"]);
    check(&STATE, &log, None, &["a b c d e f h j"]);
    check(&STATE, &["+k", "+l"], Some(5), &["b d f h j", "k l"]);
    check(&[], &["+a", "+b", "+c"], Some(2), &["a b", "c"]);
    check(&[], &["+a", "+b"], Some(2), &["a b"]);
}

#[test]
fn a_page_from_which_the_log_removes_is_short_and_tells_where_to_go_on() {
    check(&STATE, &["-b", "-d"], Some(2), &["", "f h", "j"]);
    check(&STATE, &["-d", "-h"], Some(2), &["b", "f", "j"]);
    check(&STATE, &["-j"], Some(4), &["b d f h", ""]);
    check(&STATE, &["-b", "-d", "-f", "-h", "-j"], None, &[""]);
    check(
        &STATE,
        &["-b", "+c", "-f", "+g"],
        Some(2),
        &["c d", "g h", "j"],
    );
}

#[test]
fn a_page_has_nothing_from_outside_its_range() {
    let log = ["+a", "+e", "-f", "+i", "+k"];
    let check = |range: KeyRange, limit, expected: &[&str]| {
        check_range(&STATE, &log, range, limit, expected);
    };
    check(("b".."i").into(), None, &["b d e h"]);
    check(("c".."h").into(), Some(1), &["d", "e", ""]);
    check((.."b").into(), None, &["a"]);
    check(("j"..).into(), Some(1), &["j", "k"]);
    check(KeyRange::prefix("k"), None, &["k"]);
    check(("h".."b").into(), None, &[""]);
}
