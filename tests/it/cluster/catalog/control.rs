//! What people decide, and who did.

mod audit;
mod forgotten;
mod notices;
mod tokens;
mod withdraw;
