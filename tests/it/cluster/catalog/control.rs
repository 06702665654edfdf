//! What people decide, and who did.

mod audit;
