//! `/api`: what administrators see and do, and everything that is refused.

mod audit;
mod failures;
mod lists;
mod openapi;
mod refusals;
mod roles;
mod runs;
mod support;
