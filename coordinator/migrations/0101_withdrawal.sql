-- When a person took a snapshot back: it is never live again. It stays superseded, as older versions know it.
ALTER TABLE snapshots ADD COLUMN withdrawn_at BIGINT;
-- The same of a run: what its jobs in flight still make is withdrawn, too.
ALTER TABLE runs ADD COLUMN withdrawn_at BIGINT;
-- 1: the copies below latest/ may still be of this withdrawn snapshot.
ALTER TABLE snapshots ADD COLUMN latest_stale BIGINT;
CREATE INDEX snapshots_latest_stale ON snapshots (store_id) WHERE latest_stale = 1;
-- Which share of the stores gets snapshots, in hundredths of a per cent: all together, and of each form. 0: none, devices sync as
-- without Seedbed.
CREATE TABLE delivery (
    what       TEXT   NOT NULL PRIMARY KEY,
    share      BIGINT NOT NULL,
    changed_at BIGINT
);

INSERT INTO delivery (what, share) VALUES ('all', 10000), ('file', 10000), ('compact', 10000), ('stream', 10000);
-- `taken` counts withdrawals and the like: what a server remembers of snapshots from before is not true any more.
INSERT INTO locks (name, taken) VALUES ('delivery', 0);
