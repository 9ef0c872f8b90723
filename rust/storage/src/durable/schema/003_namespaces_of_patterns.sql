-- The sums are recomputed from the facts by whoever needs them; the other tables were never written.
DROP TABLE sum;
DROP TABLE stratum;
DROP TABLE tombstone;
DROP TABLE step_batch;
DROP TABLE receipt;
DROP TABLE credit;
DROP TABLE heuristic;
DROP TABLE audit;
DROP TABLE lineage;
ALTER TABLE meta DROP COLUMN folded;

-- Removals and replaced entries up to this number were pruned from `change`.
ALTER TABLE meta ADD COLUMN horizon INTEGER NOT NULL DEFAULT 0;

-- The episode that a side record belongs to.
ALTER TABLE note ADD COLUMN subject BLOB;
CREATE INDEX note_subject ON note (subject, kind, id) WHERE subject IS NOT NULL;

-- The content of a pattern, once for each namespace whose facts name it: the detail belongs to the namespace.
ALTER TABLE pattern RENAME TO old_pattern;
CREATE TABLE pattern (
    number    INTEGER PRIMARY KEY,
    namespace INTEGER NOT NULL REFERENCES namespace (number),
    id        BLOB NOT NULL CHECK (length(id) = 16),
    kind      INTEGER NOT NULL,
    record    BLOB NOT NULL,
    UNIQUE (id, namespace)
) STRICT;
