//! Processes that are killed, stopped and cut off while clients work on: nothing acknowledged is lost, nothing stale is
//! read, and no client is told of an error. How long it takes is not judged here; the laboratory's `rounds` does that.

use lockstep_tests::processes::{
    Experiment, Failure, LoadOptions, PrivateNetwork, Scenario, Whereabouts,
};

use crate::support::program;

/// Disks are disturbed where the machine allows it.
fn run(scenario: Scenario, rounds: u64, network: Option<PrivateNetwork>) {
    let experiment = Experiment {
        program: program().to_owned(),
        scenario,
        rounds,
        load: LoadOptions::default(),
        seed: 0,
        network,
        keep: false,
    };
    let report = match experiment.run(|_| {}) {
        Err(Failure::NoDisks { reason }) => return eprintln!("skipped: {reason}"),
        report => report.unwrap(),
    };
    let broken = report.broken_promises();
    assert!(broken.is_empty(), "{broken:#?}\n{}", report.table());
}

#[test]
fn clients_notice_nothing_but_a_pause_when_primaries_are_killed() {
    run(Scenario::KillPrimary, 3, None);
}

#[test]
fn clients_notice_nothing_when_secondaries_are_killed() {
    run(Scenario::KillSecondary, 2, None);
}

#[test]
fn clients_notice_nothing_when_the_arbiter_is_killed() {
    run(Scenario::KillArbiter, 1, None);
}

#[test]
fn clients_notice_nothing_when_the_primary_hands_over() {
    run(Scenario::HandOver, 2, None);
}

#[test]
fn a_primary_that_was_stopped_tells_nobody_what_is_out_of_date() {
    run(Scenario::StopPrimary, 2, None);
}

#[test]
fn a_failover_while_disks_are_full_loses_nothing() {
    run(Scenario::FullFailover, 2, None);
}

#[test]
fn a_primary_whose_disk_hangs_is_replaced() {
    run(Scenario::HangPrimary, 2, None);
}

#[test]
fn an_arbiter_whose_disk_is_full_or_fails_decides_nothing_that_is_forgotten() {
    run(Scenario::FullArbiter, 1, None);
    run(Scenario::EioArbiter, 1, None);
}

#[test]
fn a_replica_whose_disk_fails_comes_back() {
    run(Scenario::EioPrimary, 1, None);
    run(Scenario::EioSecondary, 1, None);
}

#[test]
fn clients_notice_nothing_but_a_pause_when_machines_are_killed_or_lose_their_disks() {
    run(Scenario::KillMachine, 2, None);
    run(Scenario::WipeMachine, 2, None);
}

/// Where the machine allows it, this test runs once more, in a network of its own.
#[test]
fn a_primary_that_is_cut_off_tells_nobody_what_is_out_of_date() {
    match PrivateNetwork::find() {
        Whereabouts::Inside(network) => run(Scenario::CutPrimary, 3, Some(network)),
        Whereabouts::Outside(mut command) => {
            let test = "rounds::a_primary_that_is_cut_off_tells_nobody_what_is_out_of_date";
            let command = command.arg(std::env::current_exe().unwrap());
            let output = command.args(["--exact", test]).output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success(), "{text}");
            assert!(text.contains("1 passed"), "{text}");
        }
        Whereabouts::Nowhere(reason) => eprintln!("skipped: {reason}"),
    }
}
