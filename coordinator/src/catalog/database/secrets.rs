//! The table `secrets`: what the servers of a catalog share although nobody has set it.

use seedbed_protocol::settings::Secret;

use super::{error::CatalogError, handle::Catalog};

impl Catalog {
    /// Returns the secret called `name`; the first process that asks has it made by `make`. All get the same.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn shared_secret(
        &self,
        name: &str,
        make: impl FnOnce() -> Secret,
    ) -> Result<Secret, CatalogError> {
        if let Some(secret) = self.find_secret(name).await? {
            return Ok(secret);
        }
        sqlx::query("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(name.to_owned())
            .bind(make().expose().to_owned())
            .execute(&self.pool)
            .await?;
        let secret = self.find_secret(name).await?;
        Ok(secret.ok_or(sqlx::Error::RowNotFound)?)
    }

    async fn find_secret(&self, name: &str) -> Result<Option<Secret>, CatalogError> {
        let secret: Option<String> =
            sqlx::query_scalar("SELECT value FROM secrets WHERE name = $1")
                .bind(name.to_owned())
                .fetch_optional(&self.readers)
                .await?;
        Ok(secret.map(Secret::new))
    }
}
