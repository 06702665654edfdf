-- How fresh the stores were, once an hour (hours since 1970): how many there were, and how many of them had a snapshot that was
-- younger than `serve.freshness_age`. As few rows as a month has hours.
CREATE TABLE freshness (
    hour   BIGINT NOT NULL PRIMARY KEY,
    stores BIGINT NOT NULL,
    fresh  BIGINT NOT NULL
);
