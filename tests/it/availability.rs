//! How long a cluster goes without a success while something is broken.

use std::sync::Mutex;
use std::thread;

use lockstep_tests::availability::faults::TABLE;
use lockstep_tests::availability::links::{self, Broken};
use lockstep_tests::availability::{Longest, Setting};
use lockstep_tests::cluster::MS;
use lockstep_tests::trace::Detail;

/// Two at a time, like other long tests.
const THREADS: usize = 2;

#[test]
fn service_comes_back_whatever_links_are_broken_if_anybody_can_serve() {
    let left = Mutex::new(Broken::all().filter(|broken| broken.can_serve()));
    let (wrong, longest, count) = (
        Mutex::new(Vec::new()),
        Mutex::new(Longest::default()),
        Mutex::new(0),
    );
    thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                loop {
                    let next = left.lock().unwrap().next();
                    let Some(broken) = next else { return };
                    *count.lock().unwrap() += 1;
                    let run = broken.run(Setting::of(0), Detail::Off);
                    match run.longest() {
                        Ok(run) if links::is_kept(run) => {
                            let mut longest = longest.lock().unwrap();
                            *longest = longest.max(run);
                        }
                        Ok(run) => wrong.lock().unwrap().push(format!("{broken}: {run:?}")),
                        Err(violation) => {
                            wrong.lock().unwrap().push(format!("{broken}: {violation}"));
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    println!("{:?} sets, {:?}", count, longest);
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_single_fault_stops_reads_and_writes_for_no_longer_than_the_table_says() {
    let mut wrong = Vec::new();
    for row in TABLE {
        let longest = row
            .measure()
            .unwrap_or_else(|violation| panic!("{row:?}: {violation}"));
        let line = format!(
            "{row:?}: {} ms without a write, {} ms in all, {} ms without a read",
            longest.writes / MS,
            longest.writes_paused / MS,
            longest.reads / MS
        );
        println!("{line}");
        if !row.is_kept(longest) {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
