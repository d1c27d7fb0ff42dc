//! The state of programs, at some calls to whose files power is lost. `power check` does this with more of them.

use std::path::Path;

use lockstep_tests::power;

#[test]
fn a_loss_of_power_leaves_the_last_checkpoint_or_more() {
    if !power::is_possible() {
        eprintln!("skipped: to record a process takes Linux and strace");
        return;
    }
    let program = Path::new(env!("CARGO_BIN_EXE_power"));
    for seed in 0..3 {
        let summary = power::check(program, seed, 40, 25).unwrap();
        assert!(summary.fell_back > 0, "{summary:?}");
    }
}
