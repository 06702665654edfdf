-- The next jobs to publish, in order: without it, a page of a long run sorts all of its jobs as long as there are no
-- statistics.
CREATE INDEX jobs_listed ON jobs (run_id, position, id) WHERE state = 'listed';
