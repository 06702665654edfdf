//! What a device has of a store, as its database says it.

use powersync::{PowerSyncDatabase, error::PowerSyncError};

/// What decides where its next connection goes.
pub(crate) struct Device {
    /// Whether a sync has completed.
    synced: bool,
    /// Whether there is a local write that the service has not confirmed: then no checkpoint is applied.
    writes: bool,
    /// Whether it has a position in any bucket.
    begun: bool,
    /// The newest of them: the number before the `#` of their names. `None` if one has none.
    pub(crate) generation: Option<u64>,
}

/// PowerSync's own tables and keys, of core extension 0.5.
const STATE: &str = "SELECT EXISTS (SELECT 1 FROM ps_sync_state), EXISTS (SELECT 1 FROM ps_crud) OR ifnull(
       (SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'target_checkpoint_request_id')
     > ifnull((SELECT CAST(value AS INTEGER) FROM ps_kv WHERE key = 'last_seen_checkpoint_request_id'), -1), 0)";
const GENERATIONS: &str =
    "SELECT DISTINCT substr(name, 1, instr(name, '#') - 1) FROM ps_buckets WHERE last_op > 0";

impl Device {
    pub(crate) async fn read(db: &PowerSyncDatabase) -> Result<Self, PowerSyncError> {
        let reader = db.reader().await?;
        let (synced, writes) = reader.query_row(STATE, (), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut statement = reader.prepare(GENERATIONS)?;
        let names = statement.query_map((), |row| row.get::<_, String>(0))?;
        let names = names.collect::<Result<Vec<_>, _>>()?;
        let generations: Option<Vec<u64>> = names.iter().map(|name| name.parse().ok()).collect();
        Ok(Self {
            synced,
            writes,
            begun: !names.is_empty(),
            generation: generations.and_then(|all| all.into_iter().max()),
        })
    }

    /// Why Seedbed need not be asked.
    pub(crate) fn of_powersync(&self) -> Option<&'static str> {
        if self.writes {
            Some("local_writes")
        } else if self.synced && !self.begun {
            Some("synced")
        } else if self.begun && self.generation.is_none() {
            Some("own_positions")
        } else {
            None
        }
    }
}
