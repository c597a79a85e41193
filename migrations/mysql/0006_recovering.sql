-- What the ledger knows of the gate of a round: the highest write sequence that a decided batch of
-- the present incarnation carried, whether the gate was loaded in it, the partitions of the log
-- whose fence has come back (a bit each), and which worker rebuilds it until when.
--
-- `loaded` is true where nobody says otherwise: for the rounds that are there, and for those of a
-- process of an older version, whose workers load a gate without a word here. Such a round goes
-- on as it is; where its gate is missing, it recovers like any other.
--
-- One statement: it is done as a whole or not at all, and adds the columns once.

SET @step = (SELECT IF(COUNT(*) = 0,
    'ALTER TABLE rounds
        ADD COLUMN sequence     BIGINT UNSIGNED NOT NULL DEFAULT 0,
        ADD COLUMN loaded       BOOLEAN         NOT NULL DEFAULT TRUE CHECK (loaded IN (0, 1)),
        ADD COLUMN fences       BIGINT UNSIGNED NOT NULL DEFAULT 0,
        ADD COLUMN leased_by    BINARY(16),
        ADD COLUMN leased_until BIGINT          NOT NULL DEFAULT 0 CHECK (leased_until >= 0)',
    'DO 0')
    FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = 'rounds' AND column_name = 'loaded');
PREPARE step FROM @step;
EXECUTE step;
DEALLOCATE PREPARE step;
