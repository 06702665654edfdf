-- Who did what: one row for each action of a person, or of a program with a token. Written before the action begins.
CREATE TABLE audit (
    -- A UUIDv7.
    id      TEXT   NOT NULL PRIMARY KEY,
    at      BIGINT NOT NULL,
    -- An account of the machine, a token, or a person who has signed in.
    actor   TEXT   NOT NULL,
    -- The shell's machine, or the caller's address.
    origin  TEXT   NOT NULL,
    -- Such as run.start.
    action  TEXT   NOT NULL,
    -- The store, the run or the like; empty for none.
    subject TEXT   NOT NULL,
    -- What else was asked for, as JSON; empty for nothing.
    detail  TEXT   NOT NULL,
    -- done, or why not. NULL: nothing was heard of its end.
    outcome TEXT
);

CREATE INDEX audit_by_time ON audit (at, id);
