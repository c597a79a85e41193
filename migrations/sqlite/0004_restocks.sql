-- Changes of stock, each applied once by its key. `applied` is null until gate and ledger have it.

CREATE TABLE restocks (
    round   INTEGER NOT NULL REFERENCES rounds (round),
    key     TEXT    NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 128),
    change  INTEGER NOT NULL CHECK (change <> 0 AND change BETWEEN -2147483647 AND 2147483647),
    applied INTEGER,
    PRIMARY KEY (round, key),
    CHECK (applied IS NULL OR applied = change OR (change < applied AND applied <= 0))
) STRICT, WITHOUT ROWID;

CREATE INDEX restocks_unfinished ON restocks (round, key) WHERE applied IS NULL;
