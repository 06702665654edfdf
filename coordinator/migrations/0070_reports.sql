-- First launches, as devices report them: words of fixed lists and numbers. No address, no token, no user.
CREATE TABLE reports (
    store_id       TEXT   NOT NULL,
    -- A random UUID of the device's choice for this launch alone: a report that is sent again counts once.
    launch         TEXT   NOT NULL,
    received_at    BIGINT NOT NULL,
    platform       TEXT   NOT NULL,
    -- installed, sync, failed, cancelled
    outcome        TEXT   NOT NULL,
    -- Why no snapshot was used.
    reason         TEXT,
    form           TEXT,
    encoding       TEXT,
    byte_count     BIGINT NOT NULL,
    resumes        BIGINT NOT NULL,
    -- Milliseconds; NULL if the launch did not get there. The total is their sum.
    waiting_ms     BIGINT,
    downloading_ms BIGINT,
    unpacking_ms   BIGINT,
    finishing_ms   BIGINT,
    total_ms       BIGINT NOT NULL,
    -- Versions: digits and dots.
    sdk            TEXT,
    package        TEXT,
    core           TEXT,
    PRIMARY KEY (store_id, launch)
);

CREATE INDEX reports_by_time ON reports (received_at);
CREATE INDEX reports_by_store ON reports (store_id, received_at);
