-- What is kept beside the episodes, one table for every kind: what was recalled, credited, induced and maintained.
-- The record is the truth; the columns repeat what is searched by.
-- The tables receipt, credit, heuristic, audit and lineage of the first schema were never written: this is instead.
CREATE TABLE note (
    sequence  INTEGER PRIMARY KEY,  -- of the change that wrote it last
    kind      INTEGER NOT NULL,
    id        BLOB NOT NULL CHECK (length(id) = 16),
    namespace INTEGER NOT NULL REFERENCES namespace (number),
    is_there  INTEGER NOT NULL,     -- 0 once it was deleted
    record    BLOB NOT NULL,
    UNIQUE (kind, id)
) STRICT;
CREATE INDEX note_listing ON note (kind, namespace, id) WHERE is_there = 1;
