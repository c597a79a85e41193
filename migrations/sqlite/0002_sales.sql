-- Sales and their rounds. Times are milliseconds since 1970.

CREATE TABLE sales (
    id        TEXT NOT NULL PRIMARY KEY CHECK (octet_length(id) BETWEEN 1 AND 64),
    name      TEXT NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 800),
    -- The request that created it, as JSON: the same request again is known by it.
    requested TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rounds (
    round         INTEGER NOT NULL PRIMARY KEY CHECK (round BETWEEN 1 AND 4294967295),
    sale          TEXT    NOT NULL REFERENCES sales (id),
    salt          BLOB    NOT NULL CHECK (length(salt) = 32),
    stock         INTEGER NOT NULL CHECK (stock BETWEEN 0 AND 2147483647),
    available     INTEGER NOT NULL CHECK (available BETWEEN 0 AND stock),
    rejected      INTEGER NOT NULL DEFAULT 0 CHECK (rejected >= 0),
    per_buyer     INTEGER NOT NULL CHECK (per_buyer BETWEEN 1 AND 64),
    opens_at      INTEGER NOT NULL CHECK (opens_at >= 0),
    closes_at     INTEGER NOT NULL CHECK (closes_at > opens_at),
    closed        INTEGER NOT NULL DEFAULT 0 CHECK (closed IN (0, 1)),
    terms_version INTEGER NOT NULL DEFAULT 1 CHECK (terms_version BETWEEN 1 AND 4294967295),
    incarnation   INTEGER NOT NULL DEFAULT 1 CHECK (incarnation BETWEEN 1 AND 4294967295),
    answer_within INTEGER NOT NULL CHECK (answer_within >= 0),
    retired       INTEGER NOT NULL DEFAULT 0 CHECK (retired IN (0, 1))
) STRICT;

CREATE INDEX rounds_of_sale ON rounds (sale, round);
CREATE INDEX rounds_newest ON rounds (retired, round DESC);
