//! Compares the checksum of each bucket's operations with the service's.

use std::collections::BTreeMap;

use rusqlite::Connection;
use seedbed_protocol::manifest::Checkpoint;

use super::{error::VerifyError, operations::Operations};

/// Checks every bucket of the file, and with a `checkpoint` that it has the same buckets. A bucket's checksum is the
/// sum of its operations (`ps_oplog.hash`, added up again here) and of its superseded ones (`add_checksum`), modulo
/// 2^32.
pub(super) fn check_checksums(
    connection: &Connection,
    operations: &Operations,
    checkpoint: Option<&Checkpoint>,
) -> Result<(), VerifyError> {
    let mut found = BTreeMap::new();
    let mut buckets = connection.prepare(
        "SELECT id, name, add_checksum, op_checksum, last_applied_op = last_op
         FROM ps_buckets WHERE name <> '$local'",
    )?;
    let mut rows = buckets.query([])?;
    while let Some(row) = rows.next()? {
        let bucket: String = row.get(1)?;
        let (superseded, recorded): (i64, i64) = (row.get(2)?, row.get(3)?);
        let kept = operations
            .checksums
            .get(&row.get(0)?)
            .copied()
            .unwrap_or_default();
        if !row.get::<_, bool>(4)? {
            return Err(VerifyError::Unapplied(bucket));
        }
        if recorded as u32 != kept as u32 {
            return Err(VerifyError::Checksum {
                bucket,
                expected: recorded as u32,
                found: kept as u32,
            });
        }
        found.insert(bucket, (superseded as u32).wrapping_add(kept as u32));
    }
    match checkpoint {
        Some(checkpoint) => compare_with(checkpoint, found),
        None => Ok(()),
    }
}

/// Compares the checksums that were found in the file, by bucket, with those of the service.
fn compare_with(
    checkpoint: &Checkpoint,
    mut found: BTreeMap<String, u32>,
) -> Result<(), VerifyError> {
    for expected in &checkpoint.buckets {
        let bucket = expected.bucket.clone();
        // A bucket without rows has the checksum 0 and no entry in the file.
        let found = found
            .remove(&bucket)
            .or((expected.checksum == 0).then_some(0));
        match found {
            None => {
                return Err(VerifyError::Buckets {
                    bucket,
                    in_file: false,
                });
            }
            Some(found) if found != expected.checksum => {
                return Err(VerifyError::Checksum {
                    bucket,
                    expected: expected.checksum,
                    found,
                });
            }
            Some(_) => {}
        }
    }
    match found.into_keys().next() {
        Some(bucket) => Err(VerifyError::Buckets {
            bucket,
            in_file: true,
        }),
        None => Ok(()),
    }
}
