//! The client as programs use it: against a cluster over QUIC, by the example, and inside tokio.

mod connect;
mod lab;
mod runtimes;

#[path = "../../examples/quic.rs"]
#[expect(dead_code, reason = "its main reads arguments")]
mod example;
