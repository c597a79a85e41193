-- Decided orders, and the units that confirmed ones hold. The first four bytes of a ticket are
-- its round, so the tickets of a round are a range of the key.

CREATE TABLE orders (
    ticket     BLOB    NOT NULL PRIMARY KEY CHECK (length(ticket) = 16),
    buyer      TEXT    NOT NULL CHECK (octet_length(buyer) BETWEEN 1 AND 64),
    units      INTEGER NOT NULL CHECK (units BETWEEN 1 AND 64),
    status     TEXT    NOT NULL CHECK (status IN ('confirmed', 'rejected')),
    reason     TEXT    CHECK (reason IN ('sold_out', 'limit', 'unprocessable', 'deadline')),
    version    INTEGER NOT NULL CHECK (version BETWEEN 2 AND 4294967295),
    granted_at INTEGER NOT NULL CHECK (granted_at >= 0),
    decided_at INTEGER NOT NULL CHECK (decided_at >= 0),
    CHECK ((status = 'rejected') = (reason IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- The n-th unit of a buyer in a round: the key is the limit, whatever a program believes.
CREATE TABLE holdings (
    round  INTEGER NOT NULL REFERENCES rounds (round),
    buyer  TEXT    NOT NULL,
    n      INTEGER NOT NULL CHECK (n BETWEEN 1 AND 64),
    ticket BLOB    NOT NULL REFERENCES orders (ticket),
    PRIMARY KEY (round, buyer, n)
) STRICT, WITHOUT ROWID;
