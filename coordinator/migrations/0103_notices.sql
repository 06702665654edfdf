-- What people are told of by a webhook: each once. A notice that was sent, or given up, stays for a while, so that it is not made
-- again.
CREATE TABLE notices (
    -- What it is about, such as run_failed:ID. Nothing is told twice.
    id         TEXT   NOT NULL PRIMARY KEY,
    event      TEXT   NOT NULL,
    -- The content, as JSON, from which each template makes its own.
    content    TEXT   NOT NULL,
    made_at    BIGINT NOT NULL,
    attempts   BIGINT NOT NULL DEFAULT 0,
    -- When it is tried next. While a server tries, a time by which that has ended.
    next_at    BIGINT NOT NULL,
    sent_at    BIGINT,
    gave_up_at BIGINT,
    -- Why the last try failed.
    failure    TEXT
);

CREATE INDEX notices_due ON notices (next_at) WHERE sent_at IS NULL AND gave_up_at IS NULL;
-- `taken` is since when people are told of events, in Unix milliseconds; of freshness, 1 while it is missed.
INSERT INTO locks (name, taken) VALUES ('notices', 0), ('freshness_missed', 0);
