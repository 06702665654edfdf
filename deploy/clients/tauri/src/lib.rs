//! The first sync of a PowerSync database from Seedbed, in Rust and so in Tauri. Rule 14 of CONTRACT.md.
//!
//! The SDK is told its endpoint when it connects, not with each token. So the first sync is a connection to Seedbed, which ends
//! before the app's own begins. A process that is killed in between leaves a database that either of the two goes on with.

mod authenticator;
mod device;
mod silence;
mod start;

use std::time::Duration;

use futures_lite::{StreamExt, future};
use powersync::{Authenticator, PowerSyncDatabase, SyncOptions, error::PowerSyncError};

use authenticator::Refusable;
use device::Device;

/// Where the first sync comes from.
#[derive(Clone, Debug)]
pub struct StreamSource {
    /// Where `seedbed serve` answers: `https://seedbed.example.com`.
    pub url: String,
    /// The store whose snapshot is wanted.
    pub store_id: String,
    /// In which Seedbed's stream brings nothing, after which it is PowerSync's turn: 30 seconds.
    pub silence_limit: Duration,
    /// For the question where to go: 5 seconds.
    pub start_limit: Duration,
    /// Sends the question.
    pub http: reqwest::Client,
}

impl StreamSource {
    /// A source with the usual limits.
    pub fn new(url: impl Into<String>, store_id: impl Into<String>, http: reqwest::Client) -> Self {
        Self {
            url: url.into(),
            store_id: store_id.into(),
            silence_limit: Duration::from_secs(30),
            start_limit: Duration::from_secs(5),
            http,
        }
    }
}

/// Where a database has been connected to first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Whether the first sync has come from Seedbed.
    pub seedbed: bool,
    /// Why, or why not: `first_sync`, `new_config`; `local_writes`, `synced`, `own_positions`, `refused`,
    /// `stalled`, or what Seedbed says.
    pub reason: String,
}

/// Takes the first sync from Seedbed, if there is none and Seedbed has one, and connects with the app's own options afterwards,
/// whatever came of it. What has arrived before it failed stays: the app's own connection goes on with it.
///
/// It returns once the app's own connection has begun. Local writes stay for that one. Subscribe to the streams of the snapshot
/// before. Dropping the future in the middle leaves the connection to Seedbed: call `disconnect` then.
///
/// # Errors
/// What the database says when it cannot be read.
pub async fn connect_seeded<A>(
    db: &PowerSyncDatabase,
    source: &StreamSource,
    authenticator: A,
    own: SyncOptions,
) -> Result<Choice, PowerSyncError>
where
    A: Authenticator + 'static,
{
    let choice = first_sync(db, source, authenticator).await?;
    db.connect(own).await;
    Ok(choice)
}

async fn first_sync<A>(
    db: &PowerSyncDatabase,
    source: &StreamSource,
    authenticator: A,
) -> Result<Choice, PowerSyncError>
where
    A: Authenticator + 'static,
{
    let powersync = |reason: String| Choice {
        seedbed: false,
        reason,
    };
    let device = Device::read(db).await?;
    if let Some(reason) = device.of_powersync() {
        return Ok(powersync(reason.to_owned()));
    }
    let Ok(token) = authenticator.resolve_credentials().await else {
        return Ok(powersync("no_token".to_owned()));
    };
    let start = match start::ask(source, &token, device.generation).await {
        Ok(start) => start,
        Err(why) => return Ok(powersync(why)),
    };
    let before = db.status().last_synced_at();
    let (authenticator, refused) = Refusable::new(authenticator);
    let mut options = SyncOptions::download_only(&start.endpoint, authenticator);
    options.with_retry_delay(source.silence_limit / PAUSES);
    db.connect(options).await;
    let synced = async {
        db.watch_status()
            .any(|status| status.last_synced_at() != before)
            .await;
        Ok("")
    };
    let refused = async {
        refused.notified().await;
        Ok("refused")
    };
    let silent = async {
        silence::of(db, source.silence_limit)
            .await
            .map(|()| "stalled")
    };
    let ended = future::or(synced, future::or(refused, silent)).await;
    db.disconnect().await;
    // The last line of a stream ends its token too.
    Ok(match db.status().last_synced_at() != before {
        true => Choice {
            seedbed: true,
            reason: start.why,
        },
        false => powersync(ended?.to_owned()),
    })
}

/// The pause between two connections, as a part of the silence limit: a second.
const PAUSES: u32 = 30;
