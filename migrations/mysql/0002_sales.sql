-- Sales and their rounds. Times are milliseconds since 1970. Ids are bytes: no collation takes
-- two of them for one.

CREATE TABLE IF NOT EXISTS sales (
    id        VARBINARY(64) NOT NULL PRIMARY KEY CHECK (LENGTH(id) >= 1),
    name      VARCHAR(200)  CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL
                            CHECK (LENGTH(name) >= 1),
    -- The request that created it, as JSON: the same request again is known by it.
    requested TEXT          CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS rounds (
    round         INT UNSIGNED     NOT NULL AUTO_INCREMENT PRIMARY KEY,
    sale          VARBINARY(64)    NOT NULL,
    salt          BINARY(32)       NOT NULL,
    stock         INT UNSIGNED     NOT NULL CHECK (stock <= 2147483647),
    available     INT UNSIGNED     NOT NULL,
    rejected      BIGINT UNSIGNED  NOT NULL DEFAULT 0,
    per_buyer     TINYINT UNSIGNED NOT NULL CHECK (per_buyer BETWEEN 1 AND 64),
    opens_at      BIGINT           NOT NULL CHECK (opens_at >= 0),
    closes_at     BIGINT           NOT NULL,
    closed        BOOLEAN          NOT NULL DEFAULT FALSE CHECK (closed IN (0, 1)),
    terms_version INT UNSIGNED     NOT NULL DEFAULT 1 CHECK (terms_version >= 1),
    incarnation   INT UNSIGNED     NOT NULL DEFAULT 1 CHECK (incarnation >= 1),
    answer_within BIGINT UNSIGNED  NOT NULL,
    retired       BOOLEAN          NOT NULL DEFAULT FALSE CHECK (retired IN (0, 1)),
    CHECK (available <= stock),
    CHECK (closes_at > opens_at),
    FOREIGN KEY (sale) REFERENCES sales (id),
    INDEX rounds_of_sale (sale, round),
    INDEX rounds_newest (retired, round)
) ENGINE = InnoDB;
