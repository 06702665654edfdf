-- Runs, jobs and snapshots. Only what SQLite and Postgres both understand; times are Unix milliseconds.

CREATE TABLE runs (
    id          TEXT   NOT NULL PRIMARY KEY,
    -- What started it: local.
    kind        TEXT   NOT NULL,
    -- running, completed, failed, abandoned
    state       TEXT   NOT NULL,
    started_at  BIGINT NOT NULL,
    finished_at BIGINT
);

CREATE INDEX runs_by_start ON runs (started_at);

CREATE TABLE jobs (
    id              TEXT   NOT NULL PRIMARY KEY,
    run_id          TEXT   NOT NULL REFERENCES runs (id),
    store_id        TEXT   NOT NULL,
    -- The line or row of the list of stores.
    position        BIGINT NOT NULL,
    -- The store's claims, as JSON.
    claims          TEXT   NOT NULL,
    -- listed, queued, running, completed, unchanged, failed, abandoned
    state           TEXT   NOT NULL,
    -- The newest try that an event told of; 0 before the first.
    attempt         BIGINT NOT NULL,
    worker          TEXT,
    trace_id        TEXT,
    listed_at       BIGINT NOT NULL,
    started_at      BIGINT,
    finished_at     BIGINT,
    -- The last failure, also of a try that was followed by another.
    failure_kind    TEXT,
    failure_step    TEXT,
    failure_message TEXT,
    UNIQUE (run_id, store_id)
);

CREATE INDEX jobs_by_position ON jobs (run_id, position);
CREATE INDEX jobs_by_state ON jobs (run_id, state);
-- At most one job of a store is in flight.
CREATE UNIQUE INDEX jobs_in_flight ON jobs (store_id) WHERE state IN ('listed', 'queued', 'running');

CREATE TABLE snapshots (
    job_id       TEXT   NOT NULL REFERENCES jobs (id),
    attempt      BIGINT NOT NULL,
    run_id       TEXT   NOT NULL REFERENCES runs (id),
    store_id     TEXT   NOT NULL,
    -- Everything about it, as JSON; the columns below are for queries.
    manifest     TEXT   NOT NULL,
    row_count    BIGINT NOT NULL,
    byte_count   BIGINT NOT NULL,
    last_op_id   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    -- live, superseded, deleted
    state        TEXT   NOT NULL,
    PRIMARY KEY (job_id, attempt)
);

CREATE INDEX snapshots_by_run ON snapshots (run_id);
CREATE INDEX snapshots_by_store ON snapshots (store_id, created_at);
-- The one that clients get.
CREATE UNIQUE INDEX snapshots_live ON snapshots (store_id) WHERE state = 'live';
