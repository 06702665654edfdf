-- `taken` is the last scheduled time, in Unix milliseconds, for which a coordinator has started a run.
INSERT INTO locks (name, taken) VALUES ('schedule', 0);
