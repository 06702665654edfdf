//! Which scheduled runs have been started.

use chrono::{DateTime, Utc};

use super::{Catalog, CatalogError, millis};

impl Catalog {
    /// Whether the caller is the first that starts the run of `due`, and may.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn claim_schedule(&self, due: DateTime<Utc>) -> Result<bool, CatalogError> {
        let claimed =
            sqlx::query("UPDATE locks SET taken = $1 WHERE name = 'schedule' AND taken < $1")
                .bind(millis(due))
                .execute(&self.pool)
                .await?;
        Ok(claimed.rows_affected() == 1)
    }
}
