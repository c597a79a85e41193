-- Orders that could not be processed. `retry_at` is null when parked, `reject` is the reason to
-- reject with at the next try.

CREATE TABLE IF NOT EXISTS aside (
    ticket      BINARY(16)       NOT NULL PRIMARY KEY,
    round       INT UNSIGNED     NOT NULL,
    buyer       VARBINARY(64)    NOT NULL CHECK (LENGTH(buyer) >= 1),
    units       TINYINT UNSIGNED NOT NULL CHECK (units BETWEEN 1 AND 64),
    granted_at  BIGINT           NOT NULL CHECK (granted_at >= 0),
    incarnation INT UNSIGNED     NOT NULL,
    attempts    INT UNSIGNED     NOT NULL,
    retry_at    BIGINT           CHECK (retry_at >= 0),
    error       VARCHAR(500)     CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL,
    reject      ENUM ('unprocessable', 'deadline')
                                 CHARACTER SET ascii COLLATE ascii_general_ci,
    CHECK (reject IS NULL OR retry_at IS NOT NULL),
    -- The worker looks for what is due, and for what has passed its deadline, oldest first.
    INDEX aside_due (retry_at),
    INDEX aside_oldest (reject, granted_at)
) ENGINE = InnoDB;
