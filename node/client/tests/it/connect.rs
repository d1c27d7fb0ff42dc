//! How a client over QUIC comes to be, and why it does not.

use std::error::Error;
use std::time::Duration;

use futures_lite::future::block_on;
use lockstep_client::prelude::*;
use lockstep_client::{ConnectError, Credentials};

use crate::example;
use crate::lab::Lab;

#[test]
fn the_example_runs_against_a_cluster_over_quic() {
    let lab = Lab::start();
    let addresses: Vec<&str> = lab.addresses.iter().map(String::as_str).collect();
    block_on(example::run(&addresses, lab.tls())).expect("it is served");
    let credentials = Credentials::load_client(lab.tls(), Some("me")).unwrap();
    let read = block_on(async {
        let store = Client::connect(&lab.addresses[1..], credentials).await?;
        Ok::<_, Box<dyn Error>>(store.get("fruit/pear").await?)
    });
    assert_eq!(read.unwrap().into_value(), Some(Value::from("green")));
}

#[test]
fn a_client_that_cannot_be_says_why() {
    let lab = Lab::start();
    let refused = |addresses: &[&str], tls: &str| {
        block_on(Client::connect(addresses, tls))
            .unwrap_err()
            .to_string()
    };
    let tls = lab.tls().to_str().unwrap();
    assert!(refused(&[], tls).starts_with("no address is given"));
    assert!(refused(&["127.0.0.1"], tls).contains("write HOST:PORT"));
    assert!(refused(&["127.0.0.1:1"], "nowhere").contains("nowhere"));
}

#[test]
fn a_cluster_that_is_not_reached_is_told_with_the_address_and_the_reason() {
    let lab = Lab::start();
    let address = format!("stranger@{}", lab.addresses[0]);
    let options = ClientOptions {
        deadline: Duration::from_secs(1),
        ..ClientOptions::default()
    };
    // On a busy machine, no attempt may have come to an end when the deadline is over.
    let failure = (0..30).find_map(|_| {
        let client = block_on(Client::connect_with([&address], lab.tls(), &options));
        let error = client.expect_err("r1 is not the stranger");
        let ConnectError::Unreachable(ReadError::Unreachable { asked }) = error else {
            panic!("another error: {error}");
        };
        assert_eq!(asked[0].replica.as_str(), address);
        asked[0].failure.clone()
    });
    let failure = failure.expect("a reason is told");
    assert!(failure.contains("stranger"), "{failure}");
}
