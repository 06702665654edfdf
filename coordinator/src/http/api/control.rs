//! What administrators change: runs (`runs`), which snapshots are live (`withdraw`), who gets them (`delivery`), and
//! which stores are forgotten (`forget`); failed stores by reason
//! (`failures`). A change is made to
//! its end although the caller goes away (`task`).

mod delivery;
mod failures;
mod forget;
mod routes;

pub(super) mod runs;
mod session;
mod task;
mod tokens;
mod withdraw;

pub(super) use self::{routes::routes, runs::started};
