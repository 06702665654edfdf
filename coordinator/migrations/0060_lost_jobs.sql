-- Since when a job has been in its state, by a coordinator's clock. NULL: by an older version.
ALTER TABLE jobs ADD COLUMN moved_at BIGINT;
-- When the retry of a failed attempt is due, by its worker's clock.
ALTER TABLE jobs ADD COLUMN retry_at BIGINT;
-- How often it was published again, because no message of it was left on the broker.
ALTER TABLE jobs ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;
-- 1: messages of jobs that were cancelled may be left on the broker.
ALTER TABLE runs ADD COLUMN has_messages BIGINT;
