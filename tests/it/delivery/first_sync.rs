//! First syncs from a snapshot, in PowerSync's own protocol: who is given one and who is sent to the service, many devices at
//! once, and what happens when the object storage or the device stops in the middle.

mod access;
mod crowds;
mod faults;
mod support;
mod withheld;
