//! The table `reports`: how first launches went, as devices say.
//!
//! In: reports, taken by any server. Out: how many launches used a snapshot, how long they took, and why the others did not.
//! A report counts once, however often it comes. The oldest go with the history.

mod figures;
mod record;
mod words;

pub use self::{
    figures::{LaunchDay, LaunchGroup},
    record::{LaunchReport, Received},
    words::{Outcome, Platform, Reason, Stage},
};
