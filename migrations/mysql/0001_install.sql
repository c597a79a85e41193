-- The database itself: its id, and what workers know of being in reach of it.
--
-- DDL commits by itself here, so a step can be cut in the middle: every statement of every step
-- may run again.

CREATE TABLE IF NOT EXISTS install (
    one    TINYINT UNSIGNED NOT NULL PRIMARY KEY CHECK (one = 1),
    id     BINARY(16)       NOT NULL,
    probes BIGINT UNSIGNED  NOT NULL DEFAULT 0
) ENGINE = InnoDB;

INSERT INTO install (one, id) VALUES (1, RANDOM_BYTES(16)) ON DUPLICATE KEY UPDATE one = 1;

CREATE TABLE IF NOT EXISTS contact (
    one     TINYINT UNSIGNED NOT NULL PRIMARY KEY CHECK (one = 1),
    since   BIGINT           NOT NULL CHECK (since >= 0),
    seen_at BIGINT           NOT NULL,
    CHECK (seen_at >= since)
) ENGINE = InnoDB;
