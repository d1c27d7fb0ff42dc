//! The durable log and record keep the contracts of their traits over simulated files as well, where every other start comes
//! after a loss of power that leaves nothing of what was not synced.

use std::path::Path;

use lockstep_core::engine::durable::{Draw, open_arbiter_on, open_log};
use lockstep_core::engine::{ArbiterStore, LogStore};
use lockstep_tests::conformance::{arbiter_store, log_store};
use lockstep_tests::files::{SimulatedFiles, Survival};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::durable::options;

struct Simulated {
    files: SimulatedFiles,
    rng: ChaCha8Rng,
}

impl Simulated {
    fn new() -> Self {
        Self {
            files: SimulatedFiles::new(0),
            rng: ChaCha8Rng::seed_from_u64(0),
        }
    }

    fn log(&mut self) -> Box<dyn LogStore> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.rng.random());
        let draw = Draw::from(move || rng.random());
        let log = open_log(self.files.handle(), Path::new("/data"), &options(), draw);
        Box::new(log.unwrap())
    }

    fn record(&self) -> Box<dyn ArbiterStore> {
        Box::new(open_arbiter_on(self.files.handle(), Path::new("/data")).unwrap())
    }

    fn end_process(&mut self) {
        if self.rng.random_bool(0.5) {
            self.files.end_process();
        } else {
            self.files.crash_leaving(Survival::Nothing, &mut self.rng);
        }
    }
}

impl log_store::Subject for Simulated {
    fn fresh(&mut self) -> Box<dyn LogStore> {
        self.files = SimulatedFiles::new(0);
        self.log()
    }

    fn reopen(&mut self, log: Box<dyn LogStore>) -> Box<dyn LogStore> {
        self.end_process();
        drop(log);
        self.log()
    }
}

impl arbiter_store::Subject for Simulated {
    fn fresh(&mut self) -> Box<dyn ArbiterStore> {
        self.files = SimulatedFiles::new(0);
        self.record()
    }

    fn reopen(&mut self, store: Box<dyn ArbiterStore>) -> Box<dyn ArbiterStore> {
        self.end_process();
        drop(store);
        self.record()
    }
}

#[test]
fn the_durable_log_conforms_over_simulated_files() {
    log_store::suite(&mut Simulated::new());
}

#[test]
fn the_durable_record_conforms_over_simulated_files() {
    arbiter_store::suite(&mut Simulated::new());
}
