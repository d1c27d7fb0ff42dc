//! The model of the state in simulated clusters keeps the contract of engines, and every start comes after a loss of power.

use std::sync::Arc;

use lockstep_core::engine::Engine;
use lockstep_tests::conformance::engine;
use lockstep_tests::disk::{ModelEngine, Pages};

#[derive(Default)]
struct Model(Arc<ModelEngine>);

impl engine::Subject for Model {
    fn fresh(&mut self) -> Arc<dyn Engine> {
        self.0 = Arc::default();
        self.0.behave(|habits| habits.pages = Pages::Whole);
        self.0.clone()
    }

    fn reopen(&mut self, _engine: Arc<dyn Engine>) -> Arc<dyn Engine> {
        self.0.crash(true);
        self.0.clone()
    }
}

#[test]
fn the_model_of_the_engine_conforms() {
    engine::suite(&mut Model::default());
}
