//! How many streams there are at a time: one of each token and store, and not more than a setting allows of all.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::http::StatusCode;
use seedbed_protocol::{StoreId, digest::sha256_hex};

use crate::http::problem::Problem;

/// When a device should come back that found no place.
const COME_BACK: Duration = Duration::from_secs(5);

/// The streams that are open.
pub(super) struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    devices: HashSet<String>,
}

/// The place of one stream, until it is dropped.
pub(super) struct Place {
    places: Arc<Places>,
    device: Option<String>,
}

impl Places {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let taken = Mutex::default();
        Arc::new(Self { most, taken })
    }

    /// Takes the place of the caller with `token`; without one, every caller is another.
    pub(super) fn take(
        self: &Arc<Self>,
        token: Option<&str>,
        store_id: &StoreId,
    ) -> Result<Place, Problem> {
        let full = |message| {
            let busy = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", message);
            Err(busy.retry_after(COME_BACK))
        };
        let mut taken = self.taken();
        if taken.all >= self.most {
            return full(
                "too many devices are served right now; try again soon (download.max_streams)",
            );
        }
        let device = token.map(|token| format!("{} {store_id}", sha256_hex(token)));
        if let Some(device) = &device
            && !taken.devices.insert(device.clone())
        {
            return full("a stream of this token is still open; end it, or try again soon");
        }
        taken.all += 1;
        let places = self.clone();
        Ok(Place { places, device })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        if let Some(device) = &self.device {
            taken.devices.remove(device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_one_stream_of_a_store_until_it_ends() {
        let places = Places::new(3);
        let (one, other) = (StoreId::new("1").unwrap(), StoreId::new("2").unwrap());
        let first = places.take(Some("a"), &one).unwrap();
        assert!(places.take(Some("a"), &one).is_err());
        let _others = (
            places.take(Some("a"), &other).unwrap(),
            places.take(Some("b"), &one).unwrap(),
        );
        assert!(places.take(Some("c"), &one).is_err(), "three are open");
        drop(first);
        let again = places.take(Some("a"), &one).unwrap();
        drop(again);
        let _anonymous = places.take(None, &one).unwrap();
        assert!(places.take(None, &one).is_err(), "three are open");
    }
}
