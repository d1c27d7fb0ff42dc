//! The contract, page by page: what this store does, what that is worth, in which words, where to add to it, and how.
//!
//! | page | what |
//! | --- | --- |
//! | [`protocol`] | what the processes tell each other and what each does about it, with the invariants by number |
//! | [`behaviour`] | every request and answer, as a user sees them |
//! | [`guarantees`] | what is promised, on which conditions, and how long failures may last |
//! | [`glossary`] | one word a thing |
//! | [`adding`] | where a message, a transport, an engine, an operation, a front end, an invariant or a fault is added |
//! | [`contributing`] | what is asked of a change: of its code, prose, tests and commits |
//!
//! The flows are drawn in the [essay](crate). Where a page and the code differ, one of them has a mistake.

#[doc = include_str!("protocol.md")]
pub mod protocol {}

#[doc = include_str!("behaviour.md")]
pub mod behaviour {}

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("glossary.md")]
pub mod glossary {}

#[doc = include_str!("adding.md")]
pub mod adding {}

#[doc = include_str!("contributing.md")]
pub mod contributing {}
