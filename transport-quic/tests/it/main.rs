//! The transport over real sockets, with certificates made on the spot. What any transport must do is checked by the
//! conformance suite in `lockstep-tests`; here is what only this one promises.

mod certificates;
mod lab;
mod nodes;
mod pairs;
mod raw;
mod refused;
mod renewed;
