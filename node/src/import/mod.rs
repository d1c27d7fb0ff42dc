//! The parts of an import that need no cluster: reading the file, keeping the order of a key.

pub(crate) mod reader;
pub(crate) mod window;
