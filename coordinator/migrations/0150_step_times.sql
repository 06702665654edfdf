-- How long each step of the job's last attempt took, in milliseconds, as in `compare=12 sync=340`. NULL: by an older version, or it
-- did not succeed.
ALTER TABLE jobs ADD COLUMN steps TEXT;
