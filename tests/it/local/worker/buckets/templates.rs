//! Jobs that start from a database that is prepared with what stores share, and that nothing but a store's own rows is in its
//! file.

mod kinds;
mod refused;
mod rows;
mod support;
