-- The database itself: its id, and what workers know of being in reach of it.

CREATE TABLE install (
    id     BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    probes INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

INSERT INTO install (id) VALUES (randomblob(16));

CREATE TABLE contact (
    one     INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    since   INTEGER NOT NULL CHECK (since >= 0),
    seen_at INTEGER NOT NULL CHECK (seen_at >= since)
) STRICT;
