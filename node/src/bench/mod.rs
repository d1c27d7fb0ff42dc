//! What `lockstep bench` adds to the load generator, [`lockstep_bench`]: [`settings`] say what is wanted, [`target`] is the
//! cluster under load, [`run`] goes from the beginning to the end, [`keys_left`] takes
//! away what it wrote, [`costs`] and [`report`] tell what it showed, and an
//! [`observer`] looks at the cluster besides: [`failover`] with [`changes`], [`catch_up`].

pub(crate) mod catch_up;
pub(crate) mod changes;
pub(crate) mod costs;
pub(crate) mod failover;
pub(crate) mod keys_left;
pub(crate) mod observer;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod settings;
mod target;
