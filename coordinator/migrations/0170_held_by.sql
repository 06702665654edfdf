-- Who has quarantined the store, and when. NULL: nobody has, or an older version has not recorded it.
ALTER TABLE failing ADD COLUMN held_by TEXT;
ALTER TABLE failing ADD COLUMN held_at BIGINT;
-- How many of a worker's jobs wait for PowerSync's limit of streams. NULL: by an older version.
ALTER TABLE workers ADD COLUMN waiting BIGINT;
