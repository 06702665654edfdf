//! Pages of runs, jobs and stores, for people who look around.

use chrono::{DateTime, Utc};
use seedbed_protocol::{JobId, RunId, StoreId};
use serde::Serialize;
use sqlx::{Any, AssertSqlSafe, Row, any::AnyRow, query::Query};

use super::{
    Age, Catalog, CatalogError, SnapshotRecord, damaged, parsed,
    runs::{count, snapshot_record},
    time,
};

/// What every query for jobs selects, from the table as `job`.
const JOB_COLUMNS: &str = "job.id AS job_id, job.run_id AS job_run_id, job.store_id AS job_store_id, job.state AS job_state, \
     job.attempt, job.worker, job.trace_id, job.listed_at, job.started_at, job.finished_at, \
     job.failure_kind, job.failure_step, job.failure_message, job.position, job.way, job.why";

/// A store's newest snapshots and jobs, as many as this.
const HISTORY: i64 = 50;

/// One job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JobRecord {
    /// Its id.
    pub job_id: JobId,
    /// Its run.
    pub run_id: RunId,
    /// Its store.
    pub store_id: StoreId,
    /// `listed`, `queued`, `running`, `completed`, `unchanged`, `failed`, `cancelled`, `abandoned` or `retried`.
    pub state: String,
    /// The newest try that is known of; 0 before the first.
    pub attempt: u64,
    /// Who worked on it last.
    pub worker: Option<String>,
    /// Its trace, as 32 hex digits.
    pub trace_id: Option<String>,
    /// When it was listed.
    pub listed_at: DateTime<Utc>,
    /// When a worker took it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// Which way it went: `unchanged`, `base` or `full`.
    pub way: Option<String>,
    /// Why every row was downloaded, if it was.
    pub why: Option<String>,
    /// Why its last try failed, unless it succeeded after that.
    pub failure: Option<JobFailure>,
}

/// Why a try at a job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobFailure {
    /// `transient` or `permanent`.
    pub kind: Option<String>,
    /// The step that failed.
    pub step: Option<String>,
    /// Why.
    pub message: String,
}

/// One store.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoreRecord {
    /// Its id.
    pub store_id: StoreId,
    /// Whether it is no longer in the source.
    pub retired: bool,
    /// When its live snapshot was made.
    pub snapshot_at: Option<DateTime<Utc>>,
    /// The rows in it.
    pub rows: Option<u64>,
    /// The bytes of it.
    pub bytes: Option<u64>,
    /// Its newest job.
    pub job: Option<JobRecord>,
}

/// A store with its history, the newest first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StoreHistory {
    /// The store.
    pub store: StoreRecord,
    /// Its newest snapshots.
    pub snapshots: Vec<SnapshotRecord>,
    /// Its newest jobs.
    pub jobs: Vec<JobRecord>,
}

/// Which jobs of a run.
#[derive(Debug, Clone, Default)]
pub struct JobFilter {
    /// Only those in this state; otherwise all that were not replaced by another.
    pub state: Option<String>,
    /// Only those of stores whose id has this in it, in upper or lower case.
    pub search: Option<String>,
}

/// Which stores.
#[derive(Debug, Clone, Default)]
pub struct StoreSearch {
    /// Only those whose id has this in it, in upper or lower case.
    pub search: Option<String>,
    /// Only those in the source whose live snapshot is so old.
    pub age: Option<Age>,
    /// Only those whose newest job is in this state.
    pub state: Option<String>,
}

/// A place in the jobs of a run: position and id.
pub type JobCursor = (i64, JobId);

impl Catalog {
    /// Jobs of a run in the order of the list of stores, at most `limit` after `after`, and where the next ones are.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn jobs_page(
        &self,
        run_id: RunId,
        filter: &JobFilter,
        after: Option<JobCursor>,
        limit: u32,
    ) -> Result<(Vec<JobRecord>, Option<JobCursor>), CatalogError> {
        let (position, id) = match after {
            Some((position, id)) => (position, id.to_string()),
            None => (i64::MIN, String::new()),
        };
        let statement = format!(
            "SELECT {JOB_COLUMNS} FROM jobs job \
             WHERE job.run_id = $1 AND (job.state = $2 OR $2 = '' AND job.state <> 'retried') \
                 AND LOWER(job.store_id) LIKE LOWER($3) ESCAPE '\\' \
                 AND (job.position > $4 OR job.position = $4 AND job.id > $5) \
             ORDER BY job.position, job.id LIMIT $6"
        );
        let rows = sqlx::query(AssertSqlSafe(statement))
            .bind(run_id.to_string())
            .bind(filter.state.clone().unwrap_or_default())
            .bind(pattern(filter.search.as_deref()))
            .bind(position)
            .bind(id)
            .bind(i64::from(limit) + 1)
            .fetch_all(&self.readers)
            .await?;
        let page = rows.iter().take(limit as usize);
        let jobs: Vec<JobRecord> = page.map(job).collect::<Result<_, _>>()?;
        let next = match rows.get(limit as usize) {
            // The last of this page: the next one begins after it.
            Some(_) => {
                let last = &rows[limit as usize - 1];
                let id = parsed(last, "job_id", "a job id")?;
                Some((last.try_get("position")?, id))
            }
            None => None,
        };
        Ok((jobs, next))
    }

    /// Stores in the order of their ids, at most `limit` after `after`.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn stores_page(
        &self,
        search: &StoreSearch,
        after: Option<&StoreId>,
        limit: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<StoreRecord>, CatalogError> {
        let statement = format!(
            "SELECT stores.store_id, stores.retired_at, live.verified_at, live.row_count, live.byte_count, \
                 {JOB_COLUMNS} \
             {} AND ($3 = '' OR stores.store_id > $3) ORDER BY stores.store_id LIMIT $4",
            from_stores(search.age, now)
        );
        let rows = bind_search(sqlx::query(AssertSqlSafe(statement)), search)
            .bind(after.map(ToString::to_string).unwrap_or_default())
            .bind(i64::from(limit))
            .fetch_all(&self.readers)
            .await?;
        rows.iter().map(store).collect()
    }

    /// How many stores there are like that.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn count_stores(
        &self,
        search: &StoreSearch,
        now: DateTime<Utc>,
    ) -> Result<u64, CatalogError> {
        let statement = format!("SELECT COUNT(*) AS n {}", from_stores(search.age, now));
        let row = bind_search(sqlx::query(AssertSqlSafe(statement)), search)
            .fetch_one(&self.readers)
            .await?;
        count(&row, "n")
    }

    /// A store with its history; `None` if it was never listed.
    ///
    /// # Errors
    /// [`CatalogError`] when the catalog cannot be read.
    pub async fn store_history(
        &self,
        store_id: &StoreId,
    ) -> Result<Option<StoreHistory>, CatalogError> {
        let statement = format!(
            "SELECT stores.store_id, stores.retired_at, live.verified_at, live.row_count, live.byte_count, \
                 {JOB_COLUMNS} {FROM_STORES} WHERE stores.store_id = $1"
        );
        let found = sqlx::query(AssertSqlSafe(statement))
            .bind(store_id.to_string())
            .fetch_optional(&self.readers)
            .await?;
        let Some(found) = found else {
            return Ok(None);
        };
        let snapshots = sqlx::query(
            "SELECT job_id, state, manifest, verified_at FROM snapshots WHERE store_id = $1 \
             ORDER BY created_at DESC LIMIT $2",
        );
        let snapshots = snapshots.bind(store_id.to_string()).bind(HISTORY);
        let snapshots = snapshots.fetch_all(&self.readers).await?;
        let jobs = format!(
            "SELECT {JOB_COLUMNS} FROM jobs job WHERE job.store_id = $1 ORDER BY job.id DESC LIMIT $2"
        );
        let jobs = sqlx::query(AssertSqlSafe(jobs))
            .bind(store_id.to_string())
            .bind(HISTORY)
            .fetch_all(&self.readers)
            .await?;
        Ok(Some(StoreHistory {
            store: store(&found)?,
            snapshots: snapshots
                .iter()
                .map(snapshot_record)
                .collect::<Result<_, _>>()?,
            jobs: jobs.iter().map(job).collect::<Result<_, _>>()?,
        }))
    }
}

/// Each store with its live snapshot and its newest job.
const FROM_STORES: &str = "FROM stores \
     LEFT JOIN snapshots live ON live.store_id = stores.store_id AND live.state = 'live' \
     LEFT JOIN jobs job ON job.id = (SELECT MAX(id) FROM jobs WHERE jobs.store_id = stores.store_id)";

/// [`FROM_STORES`] with the conditions of a search, of which [`bind_search`] binds the parameters.
fn from_stores(age: Option<Age>, now: DateTime<Utc>) -> String {
    let of_age =
        age.map(|age| format!(" AND stores.retired_at IS NULL AND {}", age.condition(now)));
    format!(
        "{FROM_STORES} WHERE LOWER(stores.store_id) LIKE LOWER($1) ESCAPE '\\' AND ($2 = '' OR job.state = $2){}",
        of_age.unwrap_or_default()
    )
}

type AnyQuery<'q> = Query<'q, Any, sqlx::any::AnyArguments>;

fn bind_search<'q>(query: AnyQuery<'q>, search: &StoreSearch) -> AnyQuery<'q> {
    query
        .bind(pattern(search.search.as_deref()))
        .bind(search.state.clone().unwrap_or_default())
}

/// A pattern of LIKE for what has `text` in it, whatever LIKE makes of its characters. The database makes lower case of
/// both sides, because SQLite does so with ASCII only.
fn pattern(text: Option<&str>) -> String {
    let mut pattern = String::from("%");
    for character in text.unwrap_or_default().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        // No id has a NUL, and Postgres takes none.
        if character != '\0' {
            pattern.push(character);
        }
    }
    pattern.push('%');
    pattern
}

fn store(row: &AnyRow) -> Result<StoreRecord, CatalogError> {
    let snapshot_at: Option<i64> = row.try_get("verified_at")?;
    let retired_at: Option<i64> = row.try_get("retired_at")?;
    let has_job: Option<String> = row.try_get("job_id")?;
    Ok(StoreRecord {
        store_id: parsed(row, "store_id", "a store id")?,
        retired: retired_at.is_some(),
        snapshot_at: snapshot_at.map(time).transpose()?,
        rows: optional_count(row, "row_count")?,
        bytes: optional_count(row, "byte_count")?,
        job: has_job.map(|_| job(row)).transpose()?,
    })
}

fn job(row: &AnyRow) -> Result<JobRecord, CatalogError> {
    let optional_time = |column: &str| -> Result<Option<DateTime<Utc>>, CatalogError> {
        let millis: Option<i64> = row.try_get(column)?;
        millis.map(time).transpose()
    };
    let state: String = row.try_get("job_state")?;
    let message: Option<String> = row.try_get("failure_message")?;
    let succeeded = matches!(state.as_str(), "completed" | "unchanged");
    let failure = match message.filter(|_| !succeeded) {
        Some(message) => Some(JobFailure {
            kind: row.try_get("failure_kind")?,
            step: row.try_get("failure_step")?,
            message,
        }),
        None => None,
    };
    Ok(JobRecord {
        job_id: parsed(row, "job_id", "a job id")?,
        run_id: parsed(row, "job_run_id", "a run id")?,
        store_id: parsed(row, "job_store_id", "a store id")?,
        state,
        attempt: count(row, "attempt")?,
        worker: row.try_get("worker")?,
        trace_id: row.try_get("trace_id")?,
        listed_at: time(row.try_get("listed_at")?)?,
        started_at: optional_time("started_at")?,
        finished_at: optional_time("finished_at")?,
        way: row.try_get("way")?,
        why: row.try_get("why")?,
        failure,
    })
}

fn optional_count(row: &AnyRow, column: &str) -> Result<Option<u64>, CatalogError> {
    let count: Option<i64> = row.try_get(column)?;
    count
        .map(|count| u64::try_from(count).map_err(|_| damaged(count, "a count")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_each_character_as_it_is() {
        assert_eq!(pattern(None), "%%");
        assert_eq!(pattern(Some(r"50%_A\")), r"%50\%\_A\\%");
    }
}
