-- Scheduled times that a coordinator has claimed and whose list is not committed yet. A claim is a lease by the
-- database's clock: when it has run out, another coordinator takes it over. The row goes with the commit of the list.
CREATE TABLE schedule_claims (
    due         BIGINT NOT NULL PRIMARY KEY,
    holder      TEXT   NOT NULL,
    lease_until BIGINT NOT NULL
);

-- What the servers of a catalog share and nobody set: made once, by the first that needs it.
CREATE TABLE secrets (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);
