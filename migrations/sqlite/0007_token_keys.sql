-- The keys that have sealed tokens of this install, by the ids that stand in the tokens.

CREATE TABLE token_keys (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 4)
) STRICT, WITHOUT ROWID;
