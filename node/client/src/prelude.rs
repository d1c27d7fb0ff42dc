//! What most programs need: `use lockstep_client::prelude::*`.

pub use crate::{
    Client, ClientOptions, Key, KeyRange, ReadError, ReadLevel, Resolution, Value, WriteError,
};
