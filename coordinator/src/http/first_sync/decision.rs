//! Whether a device may be given a snapshot: never what it has already, nothing older than what it has, and nothing that it
//! did not ask for.

use chrono::{DateTime, Utc};
use seedbed_protocol::manifest::Rendition;

use super::request::StreamRequest;

/// What a device can be given now.
#[derive(Debug)]
pub(super) struct Offer {
    /// The snapshot in PowerSync's own protocol, in each of its formats and encodings.
    pub(super) streams: Vec<Rendition>,
    /// The sync config that named its buckets; `None` if their names do not say.
    pub(super) generation: Option<String>,
    /// The op id of its checkpoint.
    pub(super) checkpoint: i64,
    /// When PowerSync was last known to hold exactly this.
    pub(super) verified_at: DateTime<Utc>,
}

/// Why a device is sent to one endpoint and not to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It has nothing.
    FirstSync,
    /// All that it has is of an older sync config.
    NewConfig,
    NoSnapshot,
    /// The snapshot is older than `download.max_age`.
    TooOld,
    /// The snapshot has no stream form.
    NoStream,
    /// The snapshot is of an older sync config than the service has now.
    OldConfig,
    /// It has something of the snapshot's sync config.
    OwnPositions,
    /// It has something that is newer than the snapshot.
    NewerPositions,
    /// It asks for other streams or parameters than the snapshot was made with.
    OtherSelection,
    /// It takes no format that the snapshot has.
    NotAcceptable,
    /// Its list of buckets is too long.
    TooManyBuckets,
    /// No device is given any snapshot now.
    SwitchedOff,
    /// The store is not in the share that is given streams.
    NotInShare,
}

impl Why {
    /// Returns the name, for programs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::FirstSync => "first_sync",
            Self::NewConfig => "new_config",
            Self::NoSnapshot => "no_snapshot",
            Self::TooOld => "snapshot_too_old",
            Self::NoStream => "no_stream",
            Self::OldConfig => "old_config",
            Self::OwnPositions => "own_positions",
            Self::NewerPositions => "newer_positions",
            Self::OtherSelection => "other_selection",
            Self::NotAcceptable => "not_acceptable",
            Self::TooManyBuckets => "too_many_buckets",
            Self::SwitchedOff => "switched_off",
            Self::NotInShare => "not_in_share",
        }
    }

    /// Returns what it means, for people.
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::FirstSync => "the device has nothing yet, and there is a snapshot",
            Self::NewConfig => {
                "the device has data of an older sync config, and there is a snapshot of the new one"
            }
            Self::NoSnapshot => "there is no snapshot of this store",
            Self::TooOld => "the newest snapshot of this store is older than download.max_age",
            Self::NoStream => "the snapshot does not come as a stream (snapshots.renditions)",
            Self::OldConfig => "the snapshot is of an older sync config than the service has now",
            Self::OwnPositions => "the device has data of this sync config already",
            Self::NewerPositions => "the device has newer data than the snapshot",
            Self::OtherSelection => {
                "the device asks for other streams or parameters than the snapshot was made with"
            }
            Self::NotAcceptable => {
                "the device takes no format in which the snapshot is stored (snapshots.renditions)"
            }
            Self::TooManyBuckets => "the device has more buckets than are looked at here",
            Self::SwitchedOff => "no snapshots are handed out now",
            Self::NotInShare => "streams are not handed out to this store yet",
        }
    }
}

/// Returns whether a device with this sync config's data gains from a snapshot, and why; `None` stands for no data.
pub(super) fn for_generation(device: Option<&str>, offer: &Offer) -> (bool, Why) {
    let Some(device) = device else {
        return (true, Why::FirstSync);
    };
    // Without numbers nobody can say which of the two is the older one.
    let numbers = (number(device), offer.generation.as_deref().and_then(number));
    match numbers {
        (Some(device), Some(snapshot)) if device < snapshot => (true, Why::NewConfig),
        (Some(device), Some(snapshot)) if device > snapshot => (false, Why::NewerPositions),
        _ => (false, Why::OwnPositions),
    }
}

/// Returns why the device is given the snapshot, or, as an error, why it is not.
pub(super) fn decide(request: &StreamRequest, offer: &Offer) -> Result<Why, Why> {
    let mut why = Why::FirstSync;
    for position in &request.buckets {
        let op_id = position.op_id().unwrap_or(i64::MAX);
        if op_id > offer.checkpoint {
            return Err(Why::NewerPositions);
        }
        let generation = position
            .name
            .split_once('#')
            .map_or("", |(number, _)| number);
        match for_generation(Some(generation), offer) {
            (true, newer) => why = newer,
            // A bucket of which nothing has arrived is as good as none.
            (false, Why::OwnPositions) if op_id == 0 => {}
            (false, why) => return Err(why),
        }
    }
    let selection = request.selection();
    let mut streams = offer.streams.iter();
    match streams.all(|stream| stream.selection.as_ref() == Some(&selection)) {
        true => Ok(why),
        false => Err(Why::OtherSelection),
    }
}

/// Returns a generation as what can be compared.
pub(super) fn number(generation: &str) -> Option<u64> {
    generation.parse().ok()
}

#[cfg(test)]
mod tests {
    use seedbed_protocol::manifest::{Encoding, Form};
    use serde_json::{Value, json};

    use super::*;

    fn offer(generation: Option<&str>) -> Offer {
        let selection = StreamRequest::default().selection();
        Offer {
            streams: vec![Rendition {
                form: Form::Stream,
                encoding: Encoding::Gzip,
                key: String::new(),
                bytes: 1,
                sha256: String::new(),
                unpacked: None,
                finish: None,
                selection: Some(selection),
            }],
            generation: generation.map(str::to_owned),
            checkpoint: 100,
            verified_at: Utc::now(),
        }
    }

    fn with(buckets: Value) -> StreamRequest {
        let body = json!({ "buckets": buckets });
        StreamRequest::parse(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_device_is_given_what_is_new_to_it_and_nothing_older_than_what_it_has() {
        let decide = |buckets| decide(&with(buckets), &offer(Some("10")));
        let at = |name: &str, after: &str| json!({"name": name, "after": after});
        for (buckets, decision) in [
            (json!([]), Ok(Why::FirstSync)),
            (
                json!([at("10#a[]", "0"), at("10#b[]", "")]),
                Ok(Why::FirstSync),
            ),
            (
                json!([at("9#a[]", "100"), at("2#b[]", "1")]),
                Ok(Why::NewConfig),
            ),
            (
                json!([at("9#a[]", "7"), at("10#a[]", "0")]),
                Ok(Why::NewConfig),
            ),
            (json!([at("10#a[]", "7")]), Err(Why::OwnPositions)),
            (
                json!([at("9#a[]", "7"), at("10#a[]", "7")]),
                Err(Why::OwnPositions),
            ),
            (json!([at("11#a[]", "7")]), Err(Why::NewerPositions)),
            (json!([at("11#a[]", "0")]), Err(Why::NewerPositions)),
            (json!([at("9#a[]", "101")]), Err(Why::NewerPositions)),
            (json!([at("10#a[]", "101")]), Err(Why::NewerPositions)),
            (json!([at("a[]", "7")]), Err(Why::OwnPositions)),
            (json!([at("x#a[]", "7")]), Err(Why::OwnPositions)),
        ] {
            assert_eq!(decide(buckets.clone()), decision, "{buckets}");
        }
        let nameless = offer(None);
        assert_eq!(
            super::decide(&with(json!([])), &nameless),
            Ok(Why::FirstSync)
        );
        let request = with(json!([at("9#a[]", "7")]));
        assert_eq!(super::decide(&request, &nameless), Err(Why::OwnPositions));
    }

    #[test]
    fn a_device_that_asks_for_something_else_is_not_given_the_snapshot() {
        for body in [
            json!({"parameters": {"a": 1}}),
            json!({"streams": {"include_defaults": false}}),
            json!({"streams": {"subscriptions": [{"stream": "s"}]}}),
        ] {
            let request = StreamRequest::parse(body.to_string().as_bytes()).unwrap();
            assert_eq!(
                decide(&request, &offer(Some("1"))),
                Err(Why::OtherSelection),
                "{body}"
            );
        }
        // A snapshot of an older worker does not say what it was asked for.
        let mut silent = offer(Some("1"));
        silent.streams[0].selection = None;
        assert_eq!(decide(&with(json!([])), &silent), Err(Why::OtherSelection));
    }
}
