-- Changes of stock, each applied once by its key. `applied` is null until gate and ledger have it.

CREATE TABLE IF NOT EXISTS restocks (
    round    INT UNSIGNED   NOT NULL,
    `key`    VARBINARY(128) NOT NULL CHECK (LENGTH(`key`) >= 1),
    `change` INT            NOT NULL CHECK (`change` <> 0 AND `change` >= -2147483647),
    applied  INT,
    PRIMARY KEY (round, `key`),
    CHECK (applied IS NULL OR applied = `change` OR (`change` < applied AND applied <= 0)),
    FOREIGN KEY (round) REFERENCES rounds (round),
    INDEX restocks_unfinished (applied, round)
) ENGINE = InnoDB;
