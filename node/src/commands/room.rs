//! Nodes whose disk is so full that they cannot go on: they wait for room, and start again as after a crash.
//!
//! A disk that is merely full does not end a node: it keeps some room in reserve, rejects writes and answers reads. This is for
//! what others leave it without the reserve, in the middle of a write or when it starts.

use std::path::Path;
use std::time::{Duration, Instant};

use async_std::task;
use futures_lite::FutureExt;
use lockstep_core::driver::Exit as Ended;
use lockstep_core::engine::durable::{OsFiles, StoreOptions};
use lockstep_core::engine::files::Files;
use tracing::{info, warn};

use crate::output::{Exit, Failure};
use crate::signals::EndSignals;

/// How often it is looked whether there is room.
const LOOK: Duration = Duration::from_secs(1);

/// So long the socket of a node that has ended may be there yet: connections to who does not answer end late.
const FAREWELL: Duration = Duration::from_secs(15);

/// Runs a node, which lives as `live` says, and again whenever it has ended for want of room in `data_dir` and there is some.
pub(crate) async fn again_when_there_is_room(
    data_dir: &Path,
    live: impl AsyncFnMut(&mut EndSignals) -> Result<Ended, Failure>,
) -> Result<Exit, Failure> {
    again(data_dir, LOOK, live).await
}

async fn again(
    data_dir: &Path,
    look: Duration,
    mut live: impl AsyncFnMut(&mut EndSignals) -> Result<Ended, Failure>,
) -> Result<Exit, Failure> {
    let mut signals = EndSignals::watch()?;
    let mut lived: Option<Instant> = None;
    loop {
        let reason = match live(&mut signals).await {
            Err(Failure::NoRoom(reason)) => reason,
            // It is its own socket, which tells others that it has ended.
            Err(Failure::PortInUse(_)) if lived.is_some_and(|end| end.elapsed() < FAREWELL) => {
                task::sleep(look).await;
                continue;
            }
            Err(failure) => return Err(failure),
            Ok(Ended::Left | Ended::Stopped) => return Ok(Exit::Done),
        };
        let needed = StoreOptions::default().reserve_bytes;
        warn!(
            "the disk of {} is full, the node waits until {} MiB are free: {reason}",
            data_dir.display(),
            needed >> 20
        );
        let is_interrupted = async {
            signals.next().await;
            true
        };
        let has_room = async {
            until_room(data_dir, needed, look).await;
            false
        };
        if is_interrupted.or(has_room).await {
            return Ok(Exit::Done);
        }
        lived = Some(Instant::now());
        info!(
            "there is room in {}, the node starts again",
            data_dir.display()
        );
    }
}

/// Waits until `path` can take so many bytes.
async fn until_room(path: &Path, needed: u64, look: Duration) {
    loop {
        task::sleep(look).await;
        // Where that cannot be told, the start will.
        if OsFiles.room(path).is_ok_and(|room| room < needed) {
            continue;
        }
        return;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// How a node ends that lives so, one life after the other; and how many it had.
    fn ends(
        lives: impl IntoIterator<Item = Result<Ended, Failure>>,
    ) -> (Result<Exit, Failure>, usize) {
        let mut lives: VecDeque<_> = lives.into_iter().collect();
        let all = lives.len();
        let end = task::block_on(again(Path::new("."), Duration::ZERO, async |_| {
            lives.pop_front().expect("it has ended")
        }));
        (end, all - lives.len())
    }

    #[test]
    fn a_node_lives_again_when_it_has_ended_for_want_of_room_alone() {
        let full = || Err(Failure::NoRoom("full".to_owned()));
        let in_use = || Err(Failure::PortInUse("in use".to_owned()));
        let broken = || Err(Failure::Broken("broken".to_owned()));
        let stopped = || Ok(Ended::Stopped);
        let (end, lives) = ends([full(), full(), stopped(), stopped()]);
        assert!(matches!(end, Ok(Exit::Done)) && lives == 3);
        let (end, lives) = ends([full(), in_use(), stopped()]);
        assert!(
            matches!(end, Ok(Exit::Done)) && lives == 3,
            "its own socket"
        );
        let (end, lives) = ends([in_use(), stopped()]);
        assert!(matches!(end, Err(Failure::PortInUse(_))) && lives == 1);
        let (end, lives) = ends([full(), broken(), stopped()]);
        assert!(matches!(end, Err(Failure::Broken(_))) && lives == 2);
    }
}
