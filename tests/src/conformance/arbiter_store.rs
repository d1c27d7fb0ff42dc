//! What every [`ArbiterStore`] must do.

use lockstep_core::arbiter::{self, offline};
use lockstep_core::config::{
    Address, ArbiterId, ClusterId, ConfigVersion, Incarnation, NodeId, StartId, Token,
};
use lockstep_core::engine::ArbiterStore;
use lockstep_core::storage::{ArbiterKeeper, ArbiterRecord, NodeRecord};

use super::rule::checks;

/// How the suite gets at the stores it tests.
pub trait Subject {
    /// A store without a record.
    fn fresh(&mut self) -> Box<dyn ArbiterStore>;

    /// The same store after the end of its process and a new start.
    fn reopen(&mut self, store: Box<dyn ArbiterStore>) -> Box<dyn ArbiterStore>;
}

checks! {
    a_record_is_as_saved_last:
        "there is no record before the first `save`; then it is the one saved last, also after a new start",
        "records that become smaller, and a file that is replaced in parts";
}

fn a_record_is_as_saved_last(subject: &mut dyn Subject) {
    let store = subject.fresh();
    assert_eq!(store.load(), None, "a fresh store has no record");
    let mut store = subject.reopen(store);
    assert_eq!(
        store.load(),
        None,
        "a fresh store has no record after a new start"
    );
    for nodes in [0, 1, 64, 3] {
        let record = record(nodes);
        store.save(&record).unwrap();
        assert_eq!(store.load(), Some(&record), "the record was just saved");
        store = subject.reopen(store);
        assert_eq!(store.load(), Some(&record), "a record survives");
    }
}

fn record(nodes: u64) -> ArbiterKeeper {
    let nodes = (0..nodes).map(|node| {
        let record = NodeRecord {
            name: format!("node-{node}"),
            address: Address::new(format!("[::1]:{node}")),
            incarnation: Incarnation(node),
            token: Token(node * 3),
            former_token: Token(node * 2),
            start: StartId(node * 4),
            joined: ConfigVersion(node),
            removed: ConfigVersion(node / 2),
            has_left: node % 2 == 0,
            is_superseded: false,
        };
        (NodeId(node), record)
    });
    let record = ArbiterRecord {
        nodes: nodes.collect(),
        ..arbiter::first_record(ClusterId(9), 42)
    };
    offline::found(ArbiterId(1), record)
}
