-- In which order the jobs of a run are published, the lowest first: asked-for stores, new ones, the others; of each, the one
-- that is expected to take the longest first. 0: listed by an older version.
ALTER TABLE jobs ADD COLUMN turn BIGINT NOT NULL DEFAULT 0;
-- Rows and bytes of the store: as long as its job is in flight, of the live snapshot when it was listed; then of the snapshot
-- that it made or found to be still right. NULL: not known.
ALTER TABLE jobs ADD COLUMN row_count BIGINT;
ALTER TABLE jobs ADD COLUMN byte_count BIGINT;
UPDATE jobs SET
    row_count = (SELECT MAX(row_count) FROM snapshots WHERE snapshots.job_id = jobs.id),
    byte_count = (SELECT MAX(byte_count) FROM snapshots WHERE snapshots.job_id = jobs.id)
WHERE state = 'completed';
-- How long the job worked that made a snapshot, in milliseconds; NULL of a snapshot of an older Seedbed.
ALTER TABLE snapshots ADD COLUMN took BIGINT;
-- The next jobs to publish, in order.
DROP INDEX jobs_listed;
CREATE INDEX jobs_listed ON jobs (run_id, turn, position, id) WHERE state = 'listed';
