//! Tells people of what happens by a webhook: finds it in the catalog (`notifier`), words it (`template`), and sends it to where it may be
//! sent (`webhook`).
//!
//! In: the catalog and `[notify]`. Out: signed requests. Each event is told once, by whichever server comes first; a kill between
//! sending and its record sends it again with the same id.

mod notifier;
mod template;
mod webhook;

pub use self::{
    notifier::Notifier,
    webhook::{NotifyError, Webhook},
};
