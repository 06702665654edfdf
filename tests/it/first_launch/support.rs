//! A service, Seedbed, and Node where the packages are.

mod control;
pub(super) mod dotnet;
pub(super) mod kotlin;
mod rows;
mod run;
mod seeded;
mod sqlite;

pub(super) use rows::change_50_rows;
pub(super) use run::run;
pub(super) use seeded::Seeded;
