-- What the ledger knows of the gate of a round: the highest write sequence that a decided batch of
-- the present incarnation carried, whether the gate was loaded in it, the partitions of the log
-- whose fence has come back (a bit each), and which worker rebuilds it until when.
--
-- `loaded` is true for the rounds that are there: their gates were loaded without a word here.

ALTER TABLE rounds ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0 CHECK (sequence >= 0);
ALTER TABLE rounds ADD COLUMN loaded INTEGER NOT NULL DEFAULT 1 CHECK (loaded IN (0, 1));
ALTER TABLE rounds ADD COLUMN fences INTEGER NOT NULL DEFAULT 0 CHECK (fences >= 0);
ALTER TABLE rounds ADD COLUMN leased_by BLOB CHECK (length(leased_by) = 16);
ALTER TABLE rounds ADD COLUMN leased_until INTEGER NOT NULL DEFAULT 0 CHECK (leased_until >= 0);
