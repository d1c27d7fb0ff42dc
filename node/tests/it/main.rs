//! The program as its users meet it: real processes, real sockets, real files.

mod bench;
mod certs;
mod cluster;
mod dev;
mod export;
mod import;
mod machines;
mod output;
mod rights;
mod rounds;
mod support;
mod trouble;
mod usage;
