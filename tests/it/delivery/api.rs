//! `/api`: what administrators see and do, and everything that is refused.

mod openapi;
mod runs;
