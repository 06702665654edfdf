-- The sync config that named a snapshot's buckets; NULL until it is known of a snapshot of an older Seedbed.
ALTER TABLE snapshots ADD COLUMN generation TEXT;
-- Of a job that found another sync config than its store's last snapshot: that one's and its own.
ALTER TABLE jobs ADD COLUMN from_generation TEXT;
ALTER TABLE jobs ADD COLUMN to_generation TEXT;
-- When a client last asked for the store's snapshot, in Unix milliseconds; to the minute.
ALTER TABLE stores ADD COLUMN asked_at BIGINT;
