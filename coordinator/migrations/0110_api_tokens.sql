-- Tokens of programs and people for the API. Whoever reads this table cannot use one: only hashes are kept.
CREATE TABLE api_tokens (
    -- A UUIDv7.
    id           TEXT   NOT NULL PRIMARY KEY,
    -- Unique among those that are neither revoked nor expired.
    name         TEXT   NOT NULL,
    -- SHA-256 of the token, in hex.
    hash         TEXT   NOT NULL UNIQUE,
    -- viewer, operator or admin.
    role         TEXT   NOT NULL,
    -- Who made it, as the audit log has them.
    made_by      TEXT   NOT NULL,
    -- The token that it was made with, if any: it goes with that one.
    made_with    TEXT,
    made_at      BIGINT NOT NULL,
    -- NULL: never.
    expires_at   BIGINT,
    -- Written at most once a minute. NULL: not used yet.
    last_used_at BIGINT,
    revoked_at   BIGINT
);
