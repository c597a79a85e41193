-- Orders that could not be processed. `retry_at` is null when parked, `reject` is the reason to
-- reject with at the next try.

CREATE TABLE aside (
    ticket      BLOB    NOT NULL PRIMARY KEY CHECK (length(ticket) = 16),
    round       INTEGER NOT NULL,
    buyer       TEXT    NOT NULL CHECK (octet_length(buyer) BETWEEN 1 AND 64),
    units       INTEGER NOT NULL CHECK (units BETWEEN 1 AND 64),
    granted_at  INTEGER NOT NULL CHECK (granted_at >= 0),
    incarnation INTEGER NOT NULL CHECK (incarnation BETWEEN 0 AND 4294967295),
    attempts    INTEGER NOT NULL CHECK (attempts BETWEEN 0 AND 4294967295),
    retry_at    INTEGER CHECK (retry_at >= 0),
    error       TEXT    NOT NULL,
    reject      TEXT    CHECK (reject IN ('unprocessable', 'deadline')),
    CHECK (reject IS NULL OR retry_at IS NOT NULL)
) STRICT, WITHOUT ROWID;
