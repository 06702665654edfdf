-- When the last job of a run first ended, in Unix milliseconds. Unlike `finished_at`, which a retry within the run used to move,
-- it never changes again.
ALTER TABLE runs ADD COLUMN ended_at BIGINT;
UPDATE runs SET ended_at = (
    SELECT MAX(jobs.finished_at) FROM jobs
    WHERE jobs.run_id = runs.id AND NOT EXISTS (
        SELECT 1 FROM jobs earlier
        WHERE earlier.store_id = jobs.store_id AND earlier.run_id = jobs.run_id AND earlier.id < jobs.id))
WHERE finished_at IS NOT NULL;
-- all: a sweep over a whole list; changed: over a list without the stores that have not changed; NULL: a run of chosen stores.
ALTER TABLE runs ADD COLUMN sweep TEXT;
-- 1: its store was quarantined when it was listed, and its failure is not the run's.
ALTER TABLE jobs ADD COLUMN is_probe BIGINT;
-- What failed, without what differs from store to store.
ALTER TABLE jobs ADD COLUMN failure_reason TEXT;
-- Stores that failed in each of their last sweeps, alone, and for the same permanent reason. Not columns of `stores`: a listing
-- locks those for as long as it takes.
CREATE TABLE failing (
    store_id  TEXT   NOT NULL PRIMARY KEY,
    reason    TEXT   NOT NULL,
    -- How many sweeps these were, when the first one failed it, and when the last one did.
    sweeps    BIGINT NOT NULL,
    since     BIGINT NOT NULL,
    failed_at BIGINT NOT NULL
);
