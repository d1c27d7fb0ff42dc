//! What every [`Engine`] must do.

mod entries;
mod model;
mod pages;
mod sessions;
mod states;
mod tools;

use std::sync::Arc;

use lockstep_core::engine::Engine;

use super::rule::checks;
use entries::{
    a_fresh_state_is_empty, an_entry_changes_several_keys_or_none, any_bytes_are_keys_and_values,
    entries_take_effect_in_their_order, keys_too_long_to_be_there_are_not_there,
    records_and_the_revision_survive,
};
use model::random_entries_agree_with_a_model;
use pages::{pages_are_bounded_and_ordered, pages_have_no_more_than_their_limit};
use sessions::{sessions_change_with_the_entries, sessions_come_in_pages};
use states::{
    a_checkpoint_survives, a_state_that_is_not_installed_is_forgotten, a_view_does_not_change,
    an_installed_state_replaces_the_present_one, reads_go_on_beside_changes,
};

/// How the suite gets at the engines it tests.
pub trait Subject {
    /// The state before the first entry.
    fn fresh(&mut self) -> Arc<dyn Engine>;

    /// The same state after the end of its process and a new start.
    fn reopen(&mut self, engine: Arc<dyn Engine>) -> Arc<dyn Engine>;
}

checks! {
    a_fresh_state_is_empty:
        "a state before the first entry has no records, no sessions, position 0 and the first revision",
        "what a new directory is made with";
    entries_take_effect_in_their_order:
        "`apply` gives a key the last of its changes, and moves `applied` and `revision` with them",
        "the order within one call, and a cache that is behind";
    an_entry_changes_several_keys_or_none:
        "all changes of an entry take effect, and one without any moves the position alone",
        "entries that are taken for one change each";
    records_and_the_revision_survive:
        "what was checkpointed is there after a new start, records with all that is in them",
        "how records are written, and whether the revision is durable with the position";
    pages_are_bounded_and_ordered:
        "a page has records in the order of their keys, within `limits::CHUNK_BYTES_MAX` and `CHUNK_RECORDS_MAX`, and says whether more follow",
        "`Page::collect` keeps the bounds; whether the end of a range is in it";
    pages_have_no_more_than_their_limit:
        "a page has no more records than its limit, and at least one if there is any",
        "a limit that is applied after the page was filled";
    keys_too_long_to_be_there_are_not_there:
        "a key of any length can be asked for; one that is longer than any may be is absent",
        "a length that the storage below does not take";
    any_bytes_are_keys_and_values:
        "keys and values are any bytes, values also none",
        "separators and escapes in how keys are put together";
    a_view_does_not_change:
        "a view stays as it was, whatever is applied or installed meanwhile",
        "whether all of its reads, also of sessions, are of one snapshot";
    a_checkpoint_survives:
        "what `checkpoint` said is durable is there after a new start",
        "what is flushed before it returns";
    an_installed_state_replaces_the_present_one:
        "after `install` there is the staged state and nothing else, also after a new start",
        "records that were only in the former state, and memory that still has them";
    a_state_that_is_not_installed_is_forgotten:
        "what was staged and not installed is never seen, and `stage_begin` begins anew",
        "leftovers of a staging that was broken off";
    sessions_change_with_the_entries:
        "sessions are changed by the same step as the records of an entry",
        "whether rows that are gone are removed, and `forgotten` is kept";
    sessions_come_in_pages:
        "pages of sessions have all clients once, in order, and say whether more follow",
        "`SessionPage::collect` keeps the bounds; where the next page begins";
    reads_go_on_beside_changes:
        "every view is the outcome of a prefix of the entries, also while entries are applied by another thread",
        "what readers see between two parts of one `apply`";
    random_entries_agree_with_a_model:
        "whatever is done in whatever order, the state is that of a map in memory",
        "another check that fails too; if none does, what comes together here only: starts, views and ranges between changes, which the seed repeats";
}
