-- Workers that have said that they are there. Written by whichever coordinator takes their heartbeats, read by all.
CREATE TABLE workers (
    name       TEXT   NOT NULL PRIMARY KEY,
    host       TEXT   NOT NULL,
    version    TEXT   NOT NULL,
    slots      BIGINT NOT NULL,
    busy       BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    -- The last heartbeat, and until when the worker counts without another one. Unix milliseconds.
    seen_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
