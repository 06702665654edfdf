-- What a run's snapshots add up to is read from the index alone.
DROP INDEX snapshots_by_run;
CREATE INDEX snapshots_by_run ON snapshots (run_id, row_count, byte_count);
