//! `[cost]`: what storage and traffic cost, for the dashboard.

use seedbed_protocol::settings::{SettingsError, invalid, optional_number};
use serde::Deserialize;

/// The longest name of a currency.
const MAX_CURRENCY: usize = 8;

/// Prices. Without any, only bytes are shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CostConfig {
    /// What prices are in.
    pub currency: String,
    /// The price of a GiB that is stored for a month.
    #[serde(default, deserialize_with = "optional_number")]
    pub storage: Option<f64>,
    /// The price of a GiB that clients download.
    #[serde(default, deserialize_with = "optional_number")]
    pub transfer: Option<f64>,
}

impl CostConfig {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        for (setting, price) in [
            ("cost.storage", self.storage),
            ("cost.transfer", self.transfer),
        ] {
            if price.is_some_and(|price| !price.is_finite() || price < 0.0) {
                return invalid(setting, "must be a price, such as 0.023");
            }
        }
        let is_shown = |text: &str| !text.chars().any(char::is_control);
        if self.currency.len() > MAX_CURRENCY || !is_shown(&self.currency) {
            return invalid("cost.currency", "must be short, such as USD or €");
        }
        Ok(())
    }
}
