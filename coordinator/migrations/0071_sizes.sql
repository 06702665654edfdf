-- The bytes of a snapshot's objects in every form and encoding, and those that its job downloaded from PowerSync. NULL: recorded by
-- an older version; `byte_count` is the plain file's.
ALTER TABLE snapshots ADD COLUMN object_bytes BIGINT;
ALTER TABLE snapshots ADD COLUMN synced_bytes BIGINT;
-- Sizes of all stores are read from the index alone: the manifests are large.
CREATE INDEX snapshots_by_size ON snapshots (
    store_id, created_at, byte_count, row_count, object_bytes, synced_bytes, state, superseded_at);
-- What clients were told to download: of each day (days since 1970, UTC), form and encoding.
CREATE TABLE handed_out (
    day        BIGINT NOT NULL,
    form       TEXT   NOT NULL,
    encoding   TEXT   NOT NULL,
    downloads  BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    PRIMARY KEY (day, form, encoding)
);
