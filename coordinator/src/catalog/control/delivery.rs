//! The table `delivery`: the switch that sends all devices to the normal sync, and which share of the stores gets which form.
//!
//! A store's place is the same everywhere and for ever: a number of its id alone. A larger share has all stores of a smaller one.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use chrono::{DateTime, Utc};
use seedbed_protocol::{StoreId, manifest::Form};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use sqlx::Row;
use utoipa::ToSchema;

use crate::catalog::database::{Catalog, CatalogError, count, damaged, sql, time};

/// A share of the stores, in hundredths of a per cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// No store.
    pub const NONE: Self = Self(0);
    /// Every store.
    pub const ALL: Self = Self(10_000);

    /// Returns whether it has this store.
    pub fn has(self, store_id: &StoreId) -> bool {
        let hash = Sha256::digest(store_id.as_str());
        let start = hash.iter().take(8);
        let start = start.fold(0_u128, |start, &byte| (start << 8) | u128::from(byte));
        let place = (start * u128::from(Self::ALL.0)) >> 64;
        place < u128::from(self.0)
    }

    /// Returns it in per cent.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.percent())
    }
}

impl FromStr for Share {
    type Err = &'static str;

    /// Reads per cent: `5`, `0.5%`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "say per cent from 0 to 100, to two places: 5, or 0.5%";
        let percent: f64 = text.trim_end_matches('%').parse().map_err(|_| RULE)?;
        let hundredths = (percent * 100.0).round();
        let is_some = percent == 0.0 || hundredths > 0.0;
        match is_some && (0.0..=10_000.0).contains(&hundredths) {
            true => Ok(Self(hundredths as u32)),
            false => Err(RULE),
        }
    }
}

/// What a share is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shared {
    /// Snapshots in any form: with a share of 0, every device syncs as without Seedbed.
    All,
    /// Those as files.
    File,
    /// Those as compact files.
    Compact,
    /// Those as streams.
    Stream,
}

impl Shared {
    /// Each of them.
    pub const EACH: [Self; 4] = [Self::All, Self::File, Self::Compact, Self::Stream];

    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::File => "file",
            Self::Compact => "compact",
            Self::Stream => "stream",
        }
    }
}

impl From<Form> for Shared {
    fn from(form: Form) -> Self {
        match form {
            Form::File => Self::File,
            Form::Compact => Self::Compact,
            Form::Stream | Form::StreamBson => Self::Stream,
        }
    }
}

/// Which stores get snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    shares: [Share; 4],
    changed_at: [Option<DateTime<Utc>>; 4],
    /// Grows with each withdrawal: what was read of snapshots before may not be true any more.
    pub change: i64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            shares: [Share::ALL; 4],
            changed_at: [None; 4],
            change: 0,
        }
    }
}

impl Delivery {
    /// Returns the share of `shared`.
    pub fn share(&self, shared: Shared) -> Share {
        self.shares[shared as usize]
    }

    /// Returns since when `shared` has its share; `None` for always.
    pub fn since(&self, shared: Shared) -> Option<DateTime<Utc>> {
        self.changed_at[shared as usize]
    }

    /// Returns whether no store gets any snapshot.
    pub fn is_off(&self) -> bool {
        self.share(Shared::All) == Share::NONE
    }

    /// Returns whether a store gets snapshots in this form.
    pub fn allows(&self, store_id: &StoreId, form: Form) -> bool {
        [Shared::All, form.into()]
            .into_iter()
            .all(|shared| self.share(shared).has(store_id))
    }
}

impl Catalog {
    /// Returns which stores get snapshots.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn delivery(&self) -> Result<Delivery, CatalogError> {
        let rows = sqlx::query(
            "SELECT what, share, changed_at FROM delivery UNION ALL \
             SELECT name AS what, taken AS share, NULL AS changed_at FROM locks WHERE name = 'delivery'",
        )
        .fetch_all(&self.readers)
        .await?;
        let mut delivery = Delivery::default();
        for row in &rows {
            let what: String = row.try_get("what")?;
            let each = Shared::EACH
                .into_iter()
                .find(|shared| shared.name() == what);
            match each {
                Some(shared) => {
                    let share = count(row, "share")?;
                    let share = u32::try_from(share).map_err(|_| damaged(share, "a share"))?;
                    delivery.shares[shared as usize] = Share(share);
                    let at: Option<i64> = row.try_get("changed_at")?;
                    delivery.changed_at[shared as usize] = at.map(time).transpose()?;
                }
                None => delivery.change = row.try_get("share")?,
            }
        }
        Ok(delivery)
    }

    /// Sets the share of `shared`. One that it has already stays as old as it is.
    ///
    /// # Errors
    /// [`CatalogError::Database`].
    pub async fn set_share(&self, shared: Shared, share: Share) -> Result<(), CatalogError> {
        sqlx::query(sql!(
            "UPDATE delivery SET share = $2, changed_at = {} WHERE what = $1 AND share <> $2",
            self.dialect.now()
        ))
        .bind(shared.name())
        .bind(i64::from(share.0))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_has_as_many_stores_as_it_says_and_a_larger_one_has_the_same_and_more() {
        let stores: Vec<_> = (0..10_000)
            .map(|n| StoreId::new(format!("store-{n}")).unwrap())
            .collect();
        let of = |text: &str| {
            let share: Share = text.parse().unwrap();
            stores
                .iter()
                .filter(|store| share.has(store))
                .collect::<Vec<_>>()
        };
        let (one, ten) = (of("1%"), of("10"));
        assert!((60..140).contains(&one.len()), "{}", one.len());
        assert!((900..1_100).contains(&ten.len()), "{}", ten.len());
        assert!(one.iter().all(|store| ten.contains(store)));
        assert_eq!((of("0").len(), of("100%").len()), (0, stores.len()));
        for text in ["-1", "0.001", "101", "many", "", "NaN"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
