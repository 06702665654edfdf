-- Stores whose data was removed on demand of a person. They are left out of every list until they are allowed again.
CREATE TABLE forgotten (
    store_id     TEXT   NOT NULL PRIMARY KEY,
    at           BIGINT NOT NULL,
    -- The last job that there was; empty for none. What it and those before it still report or upload is removed.
    last_job     TEXT   NOT NULL,
    -- Until then such jobs may still upload something.
    watch_until  BIGINT NOT NULL,
    -- When the objects were removed last. NULL: they are to be removed at once.
    cleaned_at   BIGINT,
    allowed_at   BIGINT
);
