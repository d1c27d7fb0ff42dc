//! The CPU time of processes, all their threads together, from `/proc`.

use std::time::Duration;
use std::{fs, io};

use tokio::time::Instant;

use crate::args::WindowArgs;

/// What had been used at a moment.
pub(crate) struct Sample {
    time: Instant,
    /// By the nodes together.
    nodes: Duration,
    /// By what drives them.
    client: Duration,
}

/// What was used between two moments.
pub(crate) struct Used {
    pub(crate) time: Duration,
    pub(crate) nodes: Duration,
    pub(crate) client: Duration,
}

impl Sample {
    /// Of the processes that are to be measured.
    pub(crate) fn take(window: &WindowArgs) -> io::Result<Self> {
        Ok(Self {
            time: Instant::now(),
            nodes: used(&window.pids)?,
            client: used(&[window.client])?,
        })
    }

    /// What was used since an earlier sample.
    pub(crate) fn since(&self, begin: &Self) -> Used {
        Used {
            time: self.time - begin.time,
            nodes: self.nodes - begin.nodes,
            client: self.client - begin.client,
        }
    }
}

/// CPU time the processes have used so far.
fn used(processes: &[u32]) -> io::Result<Duration> {
    processes.iter().map(|process| of(*process)).sum()
}

fn of(process: u32) -> io::Result<Duration> {
    let path = format!("/proc/{process}/stat");
    let explain = |what: String| io::Error::other(format!("{path}: {what}"));
    let stat = fs::read_to_string(&path).map_err(|error| explain(error.to_string()))?;
    let ticks = ticks(&stat).ok_or_else(|| explain("not as proc(5) describes it".to_owned()))?;
    Ok(Duration::from_secs(ticks) / rustix::param::clock_ticks_per_second() as u32)
}

/// User and system time.
fn ticks(stat: &str) -> Option<u64> {
    // The second field is the name in brackets, which may hold anything.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut times = rest
        .split(' ')
        .skip(11)
        .map(|field| field.parse::<u64>().ok());
    Some(times.next()?? + times.next()??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_system_time_are_added_whatever_the_name() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 9 8 7 6 1234 567 5 4 20 0 9 0 99 1 2";
        assert_eq!(ticks(stat), Some(1801));
        assert_eq!(ticks("42 (a) S 1"), None);
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = used(&[u32::MAX]).unwrap_err().to_string();
        assert!(error.starts_with("/proc/4294967295/stat: "), "{error}");
    }
}
