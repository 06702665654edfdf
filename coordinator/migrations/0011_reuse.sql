-- When the service was last known to hold exactly what a snapshot holds: when it was made, or a later comparison.
ALTER TABLE snapshots ADD COLUMN verified_at BIGINT;
UPDATE snapshots SET verified_at = created_at;
-- Which way a job went (unchanged, base, full), and for a full download why.
ALTER TABLE jobs ADD COLUMN way TEXT;
ALTER TABLE jobs ADD COLUMN why TEXT;
-- 1: every row is to be downloaded, whatever there is to start from.
ALTER TABLE runs ADD COLUMN is_full BIGINT;
-- `taken` is when the last sweep over all stores began, in Unix milliseconds: what `:since` stands for.
INSERT INTO locks (name, taken) VALUES ('sweep', 0);
