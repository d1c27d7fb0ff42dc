//! What becomes of the keys that a bench has written.

use std::sync::Arc;
use std::time::Duration;

use async_std::task;
use futures_lite::FutureExt;
use lockstep_bench::client::Bench;
use lockstep_bench::spread::{self, Errand};
use serde_json::{Value as Json, json};

use crate::output::{self, Failure};
use crate::signals::EndSignals;
use crate::store::Store;

/// Taking keys away lasts at most as long as everything before it did, and this.
const BESIDES: Duration = Duration::from_secs(30);

/// What became of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeysLeft {
    /// So many were taken away: all that were written.
    Removed(u64),
    /// They stay, as the user wants it.
    Kept,
    /// They stay, since something else was read than was written.
    AsEvidence,
    /// They have gone with the cluster, which was one of this process.
    WithTheCluster,
    /// Some may have stayed, and why.
    NotRemoved(String),
}

/// Takes away what a bench has written, which has taken so much time; a signal ends it.
pub(crate) async fn remove(
    bench: &Arc<Bench<Failure>>,
    stores: &[Store],
    elapsed: Duration,
    progress: impl FnMut(u64, u64),
) -> KeysLeft {
    let patience = elapsed + BESIDES;
    let removed = async {
        match spread::all_keys(bench, stores, Errand::Remove, progress).await {
            Ok(keys) => KeysLeft::Removed(keys),
            Err(failure) => KeysLeft::NotRemoved(failure.to_string()),
        }
    };
    let too_late = async {
        task::sleep(patience).await;
        KeysLeft::NotRemoved(format!("that took longer than {} s", patience.as_secs()))
    };
    let interrupted = async {
        match EndSignals::watch() {
            Ok(mut signals) => signals.next().await,
            Err(_) => std::future::pending().await,
        }
        KeysLeft::NotRemoved("interrupted".to_owned())
    };
    removed.or(too_late).or(interrupted).await
}

impl KeysLeft {
    /// For people; `prefix` is how they begin.
    pub(crate) fn text(&self, prefix: &str) -> Option<String> {
        let stay = format!("the keys that begin with {prefix} stay in the cluster");
        match self {
            Self::Removed(keys) => Some(format!("took {} keys away again", output::count(*keys))),
            Self::Kept => Some(stay),
            Self::AsEvidence => Some(format!("{stay}, to be looked at")),
            Self::WithTheCluster => None,
            Self::NotRemoved(why) => Some(format!(
                "the keys that begin with {prefix} may still be in the cluster: {why}"
            )),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Json {
        match self {
            Self::Removed(keys) => json!({ "removed": keys, "left": null }),
            Self::Kept => json!({ "removed": null, "left": "kept" }),
            Self::AsEvidence => json!({ "removed": null, "left": "evidence" }),
            Self::WithTheCluster => json!({ "removed": null, "left": null }),
            Self::NotRemoved(why) => json!({ "removed": null, "left": why }),
        }
    }

    /// Have they stayed although they should not?
    pub(crate) fn is_failure(&self) -> bool {
        matches!(self, Self::NotRemoved(_))
    }
}
