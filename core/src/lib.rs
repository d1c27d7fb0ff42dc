//! The Lockstep protocol, and the async-std driver that runs it.

pub mod arbiter;
pub mod client;
pub mod config;
#[cfg(feature = "driver")]
pub mod driver;
pub mod engine;
pub mod epochs;
pub mod event;
pub mod limits;
pub mod log;
pub mod message;
pub mod operation;
pub mod process;
pub mod replica;
pub mod storage;
pub mod time;
pub mod transport;
pub mod wire;

#[cfg(feature = "driver")]
pub use driver::handle::Handle;
