-- Decided orders, and the units that confirmed ones hold. The first four bytes of a ticket are
-- its round, so the tickets of a round are a range of its key.

CREATE TABLE IF NOT EXISTS orders (
    seq        BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT PRIMARY KEY,
    ticket     BINARY(16)       NOT NULL,
    buyer      VARBINARY(64)    NOT NULL CHECK (LENGTH(buyer) >= 1),
    units      TINYINT UNSIGNED NOT NULL CHECK (units BETWEEN 1 AND 64),
    status     ENUM ('confirmed', 'rejected')
                                CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
    reason     ENUM ('sold_out', 'limit', 'unprocessable', 'deadline')
                                CHARACTER SET ascii COLLATE ascii_general_ci,
    version    INT UNSIGNED     NOT NULL CHECK (version >= 2),
    granted_at BIGINT           NOT NULL CHECK (granted_at >= 0),
    decided_at BIGINT           NOT NULL CHECK (decided_at >= 0),
    CHECK ((status = 'rejected') = (reason IS NOT NULL)),
    UNIQUE INDEX orders_by_ticket (ticket)
) ENGINE = InnoDB;

-- The n-th unit of a buyer in a round: the key is the limit, whatever a program believes. The
-- ticket refers to no key of orders: a second index in random order would slow every verdict,
-- and both rows are written by one transaction.
CREATE TABLE IF NOT EXISTS holdings (
    seq    BIGINT UNSIGNED  NOT NULL AUTO_INCREMENT PRIMARY KEY,
    round  INT UNSIGNED     NOT NULL,
    buyer  VARBINARY(64)    NOT NULL,
    n      TINYINT UNSIGNED NOT NULL CHECK (n BETWEEN 1 AND 64),
    ticket BINARY(16)       NOT NULL,
    UNIQUE INDEX holdings_of_buyer (round, buyer, n),
    FOREIGN KEY (round) REFERENCES rounds (round)
) ENGINE = InnoDB;
