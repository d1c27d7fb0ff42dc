//! Simulated clusters, in which everything goes wrong.

use lockstep_tests::chaos;
use lockstep_tests::trace::Detail;

#[test]
fn the_same_seed_gives_the_same_conversation() {
    for seed in 0..5 {
        let (first, second) = (chaos::run(seed, Detail::All), chaos::run(seed, Detail::All));
        assert!(first.lines.len() > 100, "seed {seed} hardly says anything");
        assert_eq!(first.lines, second.lines, "seed {seed}");
    }
}
