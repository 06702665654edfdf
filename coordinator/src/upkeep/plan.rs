//! From rows, stores and how much of them changes to CPU, workers, storage and money.
//!
//! In: a [`Fleet`], from the catalog or from numbers, and how often and how fast it is swept. Out: a [`Plan`]. What a row and a
//! store cost is in `coefficients`, with where each figure is from. Nothing is written, so a kill leaves nothing.

mod coefficients;
mod estimate;
mod fleet;
mod forms;
mod sweep;

pub use coefficients::{ASSUMPTIONS, Assumption};
pub use estimate::{Money, Pace, Plan, Prices, Retention, Storage, plan};
pub use fleet::{Fleet, FleetNumbers};
pub use sweep::{Slot, SweepCost};
