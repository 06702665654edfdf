//! Applies a batch of events in one transaction: those that are as most are, together, and the others one by one.

use std::collections::HashMap;

use seedbed_protocol::{
    StoreId,
    message::{EventKind, SeedEvent},
};

use super::{applied::Applied, one::apply_event, together::apply_together};
use crate::catalog::{
    database::{Catalog, CatalogError, Lock},
    quarantine::succeeded,
};

impl Catalog {
    /// Applies `events` in one transaction, and returns what each of them changed. Processes that do so at the same
    /// time wait for each other.
    ///
    /// # Errors
    /// [`CatalogError`]; then none was applied.
    pub async fn apply(&self, events: &[SeedEvent]) -> Result<Vec<Applied>, CatalogError> {
        let mut transaction = self.locked(Lock::Writer).await?;
        let mut applied = vec![Applied::Ignored; events.len()];
        for wave in waves(events) {
            let together = apply_together(&mut transaction, events, &wave).await?;
            for index in wave {
                applied[index] = match together.get(&index) {
                    Some(&applied) => applied,
                    None => apply_event(&mut transaction, &events[index]).await?,
                };
            }
        }
        let ended = events.iter().zip(&applied);
        let right = ended.filter(|(event, applied)| is_success(event, **applied));
        let right: Vec<&StoreId> = right.map(|(event, _)| &event.store_id).collect();
        succeeded(&mut transaction, &right).await?;
        transaction.commit().await?;
        Ok(applied)
    }
}

/// The places of `events` in waves: the events of a store are in different ones, in their order.
fn waves(events: &[SeedEvent]) -> Vec<Vec<usize>> {
    let mut before: HashMap<&StoreId, usize> = HashMap::new();
    let mut waves: Vec<Vec<usize>> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let wave = before.entry(&event.store_id).or_default();
        match waves.get_mut(*wave) {
            Some(others) => others.push(index),
            None => waves.push(vec![index]),
        }
        *wave += 1;
    }
    waves
}

/// Returns whether an event says, even late, that the store has a right snapshot.
fn is_success(event: &SeedEvent, applied: Applied) -> bool {
    match event.kind {
        EventKind::Completed { .. } => applied != Applied::UnknownJob,
        EventKind::Unchanged { .. } => applied == Applied::Unchanged,
        EventKind::Started { .. } | EventKind::Failed(_) => false,
    }
}
