-- The keys that have sealed tokens of this install, by the ids that stand in the tokens.

CREATE TABLE IF NOT EXISTS token_keys (
    id BINARY(4) NOT NULL PRIMARY KEY
) ENGINE = InnoDB;
