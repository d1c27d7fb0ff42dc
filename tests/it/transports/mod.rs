//! The transports keep the contract of their trait.

mod mem;
mod quic;
mod tcp;
