//! The same for many keys, many at once: writing them before, reading them after, and taking them away.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_lite::FutureExt;
use lockstep_core::operation::ReadLevel;

use crate::client::Bench;
use crate::target::{Joined, Target};

/// Operations under way at once: enough to keep a cluster busy.
pub const AT_ONCE: usize = 512;

/// How often the progress is shown.
const SHOWN: Duration = Duration::from_millis(200);

/// What is done with each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Writes it.
    Load,
    /// Reads it, if it was written, and judges what it holds.
    Verify,
    /// Deletes it, if it was written.
    Remove,
}

/// Does it with all keys, and tells `progress` now and then with how many it has begun, of how many. Returns with how many it
/// was done.
pub async fn all_keys<T: Target>(
    bench: &Arc<Bench<T::Failure>>,
    targets: &[T],
    errand: Errand,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, T::Failure> {
    let count = bench.keys.count();
    progress(0, count);
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<Joined<Result<u64, T::Failure>>> = targets
        .iter()
        .cycle()
        .take(AT_ONCE)
        .map(|target| {
            let (bench, own, next) = (bench.clone(), target.clone(), next.clone());
            target.spawn(async move {
                let mut done = 0;
                loop {
                    let key = next.fetch_add(1, Ordering::Relaxed);
                    if key >= count {
                        return Ok(done);
                    }
                    let outcome = one_key(&bench, &own, errand, key).await;
                    match outcome {
                        Ok(was_needed) => done += u64::from(was_needed),
                        Err(failure) => {
                            // The others need not go on.
                            next.store(count, Ordering::Relaxed);
                            return Err(failure);
                        }
                    }
                }
            })
        })
        .collect();
    let mut done = 0;
    let mut result = Ok(());
    for (mut task, target) in tasks.into_iter().zip(targets.iter().cycle()) {
        let outcome = loop {
            let ended = async { Some((&mut task).await) };
            let not_yet = async {
                target.sleep(SHOWN).await;
                None
            };
            match ended.or(not_yet).await {
                Some(outcome) => break outcome,
                None => progress(next.load(Ordering::Relaxed).min(count), count),
            }
        };
        match outcome {
            Ok(keys) => done += keys,
            Err(failure) => result = result.and(Err(failure)),
        }
    }
    result.map(|()| done)
}

async fn one_key<T: Target>(
    bench: &Bench<T::Failure>,
    target: &T,
    errand: Errand,
    key: u64,
) -> Result<bool, T::Failure> {
    match errand {
        Errand::Load => {
            bench.write(target, key).await?;
            Ok(true)
        }
        Errand::Verify | Errand::Remove if !bench.ledger.is_touched(key) => Ok(false),
        Errand::Verify => {
            let name = bench.keys.name(key);
            let read = target.get(name, ReadLevel::Linearizable, None).await?;
            bench.judge_last(key, read.value.as_ref());
            Ok(true)
        }
        Errand::Remove => {
            target.remove(bench.keys.name(key)).await?;
            Ok(true)
        }
    }
}
