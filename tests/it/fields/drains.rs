//! The requests that end a role, each of a cluster of its own.

use lockstep_core::message::{Drain, RequestBody};
use lockstep_tests::cluster::MS;

use super::answer::Answer;
use super::limits;
use super::simulated::Simulated;
use super::suite;
use super::table::{self, Place};

#[test]
fn a_role_ends_as_it_was_asked_to_whatever_else_the_request_says() {
    for drain in table::drains() {
        for place in [Place::Primary, Place::Secondary] {
            check(drain, place);
        }
    }
}

fn check(drain: Drain, place: Place) {
    let body = RequestBody::Drain(drain);
    let count = suite::begin(&mut Simulated::new(limits()), limits())
        .0
        .requests(&body)
        .len();
    for number in 0..count {
        let mut lab = Simulated::new(limits());
        let (mut known, before) = suite::begin(&mut lab, limits());
        let request = known.requests(&body).swap_remove(number);
        let asked = lab.cluster().replicas().start + place as usize;
        let node = lab.cluster().node_id(asked).expect("it is a replica");
        let answer = suite::ask(&mut lab, place, &request, &Answer::Begun);
        assert_eq!(answer, Answer::Begun, "{request:?} at the {place:?}");

        let cluster = lab.cluster();
        cluster.run_until(cluster.now() + 3_000 * MS);
        let after = cluster.config().clone();
        let is_up = cluster.nodes()[asked].is_up();
        match drain {
            Drain::Node | Drain::NodeByForce => {
                assert!(!is_up && !after.is_member(node), "{request:?}: {after:?}");
                assert_eq!(after.in_sync.len(), 2, "{request:?}");
            }
            Drain::Primary if place == Place::Primary => {
                assert_ne!(after.primary, Some(node), "{request:?}");
                assert_eq!(after.in_sync, before.in_sync, "{request:?}");
            }
            Drain::Primary => assert_eq!(after, before, "{request:?}"),
            Drain::Former(_) => unreachable!("it ends no role"),
        }
        let primary = cluster.primary().expect("somebody is");
        let write = known.request(table::first());
        let write = lockstep_core::message::Request {
            attempt: Default::default(),
            ..write
        };
        let primary = primary - cluster.replicas().start;
        let answer = suite::ask_at(&mut lab, primary, &write, &Answer::Acknowledged);
        assert_eq!(answer, Answer::Acknowledged, "after {request:?}");
        lab.finish();
    }
}
