//! Copies of data directories, wiped ones, names and tokens.

use super::*;

#[test]
fn copies_of_a_data_directory_are_refused() {
    let (record, first, second) = pair();
    let old = on_join(&record, &address(2), &join(2, 0, second));
    assert_eq!(
        refusal(&old, 2),
        JoinRefusal::OldIncarnation {
            recorded: Incarnation(1)
        }
    );
    assert_eq!(
        refusal(&on_join(&record, &address(2), &join(2, 2, first)), 2),
        JoinRefusal::WrongToken
    );
    assert_eq!(
        refusal(&on_join(&record, &address(3), &join(3, 1, first)), 3),
        JoinRefusal::WrongToken
    );
    let mut elsewhere = join(2, 1, second);
    elsewhere.address = address(9);
    assert_eq!(
        refusal(&on_join(&record, &address(9), &elsewhere), 9),
        JoinRefusal::WrongToken
    );
    let mut started_as_often = join(2, 1, second);
    started_as_often.starts = vec![StartId(9)];
    assert_eq!(
        refusal(&on_join(&record, &address(2), &started_as_often), 2),
        JoinRefusal::WrongToken
    );
    // The former token is good until the node has shown the one it was given, for the directory that was started with it.
    assert_eq!(
        refusal(&on_join(&record, &address(2), &join(2, 2, Token(0))), 2),
        JoinRefusal::WrongToken
    );
    let mut unanswered = join(2, 2, Token(0));
    unanswered.starts = vec![StartId(1), StartId(2)];
    let again = on_join(&record, &address(2), &unanswered)
        .record
        .expect("a change");
    let shown = again.nodes[&NodeId(2)].token;
    let later = on_join(&again, &address(2), &join(2, 3, shown))
        .record
        .expect("a change");
    assert_eq!(
        refusal(&on_join(&later, &address(2), &join(2, 4, Token(0))), 2),
        JoinRefusal::WrongToken
    );
}

#[test]
fn who_is_displaced_by_a_copy_is_told_where_it_is() {
    let (record, _, second) = pair();
    let mut copy = join(2, 2, second);
    copy.address = address(9);
    let decision = on_join(&record, &address(9), &copy);
    accepted(&decision, 9);
    let FromArbiter::Replicas(config) = answer_to(&decision, 2) else {
        panic!("not told");
    };
    assert_eq!(config.members[&NodeId(2)].address, address(9));
}

#[test]
fn a_wiped_directory_is_a_new_node_that_takes_the_place_of_its_joining_namesake() {
    let (record, ..) = pair();
    let record = on_join(&record, &address(3), &join(3, 1, Token(0)))
        .record
        .expect("a change");
    let mut wiped = join(4, 1, Token(0));
    (wiped.name, wiped.address) = ("r3".to_owned(), address(3));
    let record = on_join(&record, &address(3), &wiped)
        .record
        .expect("a change");
    assert!(!record.config.is_member(NodeId(3)));
    assert!(record.config.joining.contains(&NodeId(4)));
}

#[test]
fn a_late_join_of_a_wiped_directory_does_not_cost_the_new_node_its_identity() {
    let (record, ..) = pair();
    let old = join(3, 1, Token(0));
    let record = on_join(&record, &address(3), &old)
        .record
        .expect("a change");
    let mut wiped = join(4, 1, Token(0));
    (wiped.name, wiped.address) = (old.name.clone(), old.address.clone());
    let record = on_join(&record, &address(3), &wiped)
        .record
        .expect("a change");
    let late = on_join(&record, &address(3), &old)
        .record
        .expect("it may be the living one");
    assert!(!late.config.is_member(NodeId(4)));
    let back = on_join(&late, &address(3), &wiped)
        .record
        .expect("a change");
    assert!(back.config.joining.contains(&NodeId(4)) && !back.config.is_member(NodeId(3)));
    let record = propose(&back, 1, ConfigChange::AddInSync(NodeId(4)))
        .record
        .expect("a change");
    assert_eq!(
        on_join(&record, &address(3), &old),
        Decision::default(),
        "certainly a late one"
    );
}

/// Node `node` at an address of its own, under the name of `namesake`.
fn join_as(node: u64, namesake: u64) -> Join {
    Join {
        name: format!("r{namesake}"),
        ..join(node, 1, Token(0))
    }
}

#[test]
fn a_name_is_of_one_living_node() {
    let (record, _, second) = pair();
    let record = on_join(&record, &address(3), &join(3, 1, Token(0)))
        .record
        .expect("a change");
    for namesake in [1, 2, 3] {
        let decision = on_join(&record, &address(5), &join_as(5, namesake));
        assert_eq!(decision.record, None, "r{namesake}");
        let holder = address(namesake);
        assert_eq!(refusal(&decision, 5), JoinRefusal::NameTaken { holder });
    }
    // The same node somewhere else is no second one.
    let mut moved = join(2, 2, second);
    moved.address = address(9);
    let decision = on_join(&record, &address(9), &moved);
    let moved = decision.record.expect("a change");
    assert_eq!(moved.config.members[&NodeId(2)].address, address(9));
}

#[test]
fn the_name_of_a_node_that_was_taken_out_is_free() {
    let (record, ..) = pair();
    let remove = propose(&record, 1, ConfigChange::RemoveInSync(NodeId(2)));
    let record = remove.record.expect("a change");
    let decision = on_join(&record, &address(5), &join_as(5, 2));
    let record = decision.record.expect("a change");
    assert!(record.config.joining.contains(&NodeId(5)));
}

#[test]
fn names_and_addresses_have_no_characters_that_do_something_to_a_terminal() {
    let (record, ..) = pair();
    let check = |name: &str, address: &str| {
        let mut join = join(3, 1, Token(0));
        (join.name, join.address) = (name.to_owned(), Address::new(address));
        let decision = on_join(&record, &Address::new(address), &join);
        decision.record.is_some()
    };
    assert!(check("r-3_a.B", "r3@[::1]:7"));
    for bad in ["", "r3\u{1b}[2J", "r 3", "r3\n", "ä", "r3\u{202e}"] {
        assert!(!check(bad, "r3"), "{bad:?}");
    }
    for bad in ["r3\u{1b}[2J", "r 3", "r3\n", "ä"] {
        assert!(!check("r3", bad), "{bad:?}");
    }
}

#[test]
fn a_token_does_not_tell_the_secret_that_the_next_one_is_made_of() {
    let token = |secret| {
        let record = first_record(ClusterId(7), secret);
        let decision = on_join(&record, &address(1), &join(1, 1, Token(0)));
        accepted(&decision, 1).token.0
    };
    assert_eq!(token(42), token(42));
    assert_ne!(token(42), token(43));
    // The finalizer of SplitMix64 is a bijection, and was what tokens were made by: undone, it gives the secret.
    let unshift = |mixed: u64, by: u32| mixed ^ (mixed >> by) ^ (mixed >> (2 * by));
    let mut undone = unshift(token(42), 31).wrapping_mul(0x3196_42b2_d24d_8ec3);
    undone = unshift(undone, 27).wrapping_mul(0x96de_1b17_3f11_9089);
    undone = unshift(undone, 30).wrapping_sub(0x9e37_79b9_7f4a_7c15);
    assert_ne!(undone, 42);
}
