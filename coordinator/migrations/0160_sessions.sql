-- Who has signed in to the dashboard by a provider of logins. Whoever reads this table cannot use a session: only hashes are kept.
CREATE TABLE sessions (
    -- A UUIDv7.
    id         TEXT   NOT NULL PRIMARY KEY,
    -- SHA-256 of the cookie, in hex.
    hash       TEXT   NOT NULL UNIQUE,
    -- SHA-256 of the state of the login, in hex: one login makes one session.
    login      TEXT   NOT NULL UNIQUE,
    -- The provider's id of the person (sub), and a name for people.
    subject    TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    -- viewer, operator or admin.
    role       TEXT   NOT NULL,
    made_at    BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- When somebody signed out. NULL: not yet.
    ended_at   BIGINT
);

-- Which stores had a snapshot withdrawn is measured again and again.
CREATE INDEX snapshots_withdrawn ON snapshots (store_id) WHERE withdrawn_at IS NOT NULL;
