-- Failed jobs by reason, read from the index alone: how many there are, of which stores, since when.
CREATE INDEX jobs_failed_by_reason ON jobs (failure_reason, finished_at, store_id, id) WHERE state = 'failed';
-- 1: a person has quarantined the store. Only a success ends that.
ALTER TABLE failing ADD COLUMN held BIGINT;
