//! The transports keep the contract of their trait.

mod homebound;
mod mem;
mod quic;
mod shared;
mod tcp;
