//! The lease argument, checked by machine.

mod arbiter;
mod model;
mod omissions;
mod property;
mod reached;
mod scope;
mod search;
mod state;
mod time;
mod words;

pub use omissions::Omission;
pub use property::Violation;
pub use reached::Reached;
pub use scope::Scope;
pub use search::{Outcome, search};
