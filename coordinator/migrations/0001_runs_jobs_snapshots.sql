-- Stores, runs, jobs and snapshots. Only what SQLite and Postgres both understand; times are Unix milliseconds.

-- Whoever changes more than one row updates a row of this table first, and so waits for the one before it.
CREATE TABLE locks (
    name  TEXT   NOT NULL PRIMARY KEY,
    taken BIGINT NOT NULL
);

-- writer: events, retries, cancellations, retention. listing: whoever adds jobs, for as long as that takes.
INSERT INTO locks (name, taken) VALUES ('writer', 0), ('listing', 0);

CREATE TABLE stores (
    store_id   TEXT   NOT NULL PRIMARY KEY,
    -- The run that listed it last, also if it needed no job then, and the line or row in that list.
    seen_in    TEXT   NOT NULL,
    position   BIGINT NOT NULL,
    -- When a sweep over all stores no longer found it.
    retired_at BIGINT
);

CREATE TABLE runs (
    id          TEXT   NOT NULL PRIMARY KEY,
    -- What started it: local, run, rebuilt.
    kind        TEXT   NOT NULL,
    -- running, completed, failed, cancelled, abandoned
    state       TEXT   NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT,
    -- Who publishes its jobs, and until when nobody else may.
    publisher   TEXT,
    lease_until BIGINT
);

CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX runs_by_state ON runs (state);

CREATE TABLE jobs (
    id              TEXT   NOT NULL PRIMARY KEY,
    run_id          TEXT   NOT NULL REFERENCES runs (id),
    store_id        TEXT   NOT NULL,
    -- The line or row of the list of stores.
    position        BIGINT NOT NULL,
    -- The store's claims, as JSON.
    claims          TEXT   NOT NULL,
    -- listed, queued, running, completed, unchanged, failed, cancelled, abandoned; retried: another job of the
    -- same run has taken its place.
    state           TEXT   NOT NULL,
    -- The newest try that an event told of; 0 before the first.
    attempt         BIGINT NOT NULL,
    worker          TEXT,
    trace_id        TEXT,
    listed_at       BIGINT NOT NULL,
    -- After it no worker works on the job any more. NULL before it was published.
    deadline        BIGINT,
    started_at      BIGINT,
    finished_at     BIGINT,
    -- The last failure, also of a try that was followed by another.
    failure_kind    TEXT,
    failure_step    TEXT,
    failure_message TEXT
);

CREATE UNIQUE INDEX jobs_of_run ON jobs (run_id, store_id) WHERE state <> 'retried';
CREATE INDEX jobs_by_position ON jobs (run_id, position);
CREATE INDEX jobs_by_state ON jobs (run_id, state);
CREATE INDEX jobs_by_store ON jobs (store_id, id);
-- At most one job of a store is in flight.
CREATE UNIQUE INDEX jobs_in_flight ON jobs (store_id) WHERE state IN ('listed', 'queued', 'running');
CREATE INDEX jobs_by_deadline ON jobs (deadline) WHERE state IN ('queued', 'running');
CREATE INDEX jobs_failed ON jobs (id) WHERE state = 'failed';

CREATE TABLE snapshots (
    job_id        TEXT   NOT NULL REFERENCES jobs (id),
    attempt       BIGINT NOT NULL,
    run_id        TEXT   NOT NULL REFERENCES runs (id),
    store_id      TEXT   NOT NULL,
    -- Everything about it, as JSON; the columns below are for queries.
    manifest      TEXT   NOT NULL,
    row_count     BIGINT NOT NULL,
    byte_count    BIGINT NOT NULL,
    last_op_id    BIGINT NOT NULL,
    created_at    BIGINT NOT NULL,
    -- live, superseded, deleting (its objects may be gone), deleted (they are)
    state         TEXT   NOT NULL,
    -- Since when clients no longer get it.
    superseded_at BIGINT,
    PRIMARY KEY (job_id, attempt)
);

CREATE INDEX snapshots_by_run ON snapshots (run_id);
CREATE INDEX snapshots_by_store ON snapshots (store_id, created_at);
CREATE INDEX snapshots_by_state ON snapshots (state);
-- The one that clients get.
CREATE UNIQUE INDEX snapshots_live ON snapshots (store_id) WHERE state = 'live';
