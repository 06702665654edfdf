-- The trace of a run, as W3C traceparent: whoever publishes its jobs, in whichever process, does so within it.
ALTER TABLE runs ADD COLUMN traceparent TEXT;
