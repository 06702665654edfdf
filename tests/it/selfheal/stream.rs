//! A hostile or broken service, or proxy before it: what it sends ends in a pause, an error that says what to do, or a good
//! snapshot.

mod away;
mod endless;
mod loops;
mod redirects;
mod retired;
mod support;
