-- One row: which store this is, who may open it, and how far the sums have come.
CREATE TABLE meta (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    uuid       BLOB NOT NULL CHECK (length(uuid) = 16),
    min_reader INTEGER NOT NULL,
    min_writer INTEGER NOT NULL,
    folded     INTEGER NOT NULL  -- `sum` holds every change up to this number
) STRICT;

CREATE TABLE migration (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE namespace (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL UNIQUE
) STRICT;

-- The one sequence: every change takes the next number inside its transaction.
CREATE TABLE change (
    sequence INTEGER PRIMARY KEY,
    op       INTEGER NOT NULL,  -- 0 put, 1 remove
    id       BLOB NOT NULL
) STRICT;

-- An episode with all it taught. The record is the truth; the columns repeat what is searched by.
CREATE TABLE episode (
    sequence    INTEGER PRIMARY KEY,  -- of the change that put it
    id          BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    namespace   INTEGER NOT NULL REFERENCES namespace (number),
    external_id TEXT,
    digest      BLOB NOT NULL CHECK (length(digest) = 16),
    task_key    TEXT,
    domain      TEXT NOT NULL,
    agent       TEXT,
    complexity  INTEGER NOT NULL,
    state       INTEGER NOT NULL,     -- 0 learned, 1 open, 2 pending, 3 abandoned
    started_at  INTEGER NOT NULL,
    ended_at    INTEGER NOT NULL,
    base        REAL,
    embedder    TEXT,
    record      BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX episode_external ON episode (namespace, external_id) WHERE external_id IS NOT NULL;
CREATE INDEX episode_listing ON episode (namespace, id, domain, task_key, agent, state);
CREATE INDEX episode_pending ON episode (id) WHERE state = 2;

-- What a removed episode had taught, so that the sums can take it back.
CREATE TABLE tombstone (
    sequence INTEGER PRIMARY KEY,  -- of the change that removed it
    id       BLOB NOT NULL,
    put      INTEGER NOT NULL,     -- the number of the change that had put it
    record   BLOB NOT NULL
) STRICT;

-- What a pattern says, once, under the hash of what it says.
CREATE TABLE pattern (
    number INTEGER PRIMARY KEY,
    id     BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    kind   INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;

-- What the sums are kept by, beside the pattern.
CREATE TABLE stratum (
    number     INTEGER PRIMARY KEY,
    namespace  INTEGER NOT NULL REFERENCES namespace (number),
    domain     TEXT NOT NULL,
    agent      TEXT NOT NULL,      -- empty where nobody is named
    complexity INTEGER NOT NULL,
    month      INTEGER NOT NULL,   -- YYYYMM in UTC
    UNIQUE (namespace, month, domain, agent, complexity)
) STRICT;

CREATE TABLE sum (
    stratum   INTEGER NOT NULL REFERENCES stratum (number),
    pattern   BLOB NOT NULL CHECK (length(pattern) = 16),
    kind      INTEGER NOT NULL,
    trials    INTEGER NOT NULL,
    successes REAL NOT NULL,
    episodes  INTEGER NOT NULL,
    outcomes  REAL NOT NULL,
    last_seen INTEGER NOT NULL,
    PRIMARY KEY (stratum, pattern, kind)
) STRICT, WITHOUT ROWID;

-- Steps of an episode that is still open, as they were flushed.
CREATE TABLE step_batch (
    number  INTEGER PRIMARY KEY,
    episode BLOB NOT NULL,
    first   INTEGER NOT NULL,      -- the number of the first step inside
    record  BLOB NOT NULL,
    UNIQUE (episode, first)
) STRICT;

-- What was recalled for an episode, and what each recalled memory was credited with.
CREATE TABLE receipt (
    number  INTEGER PRIMARY KEY,
    id      BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    episode BLOB NOT NULL,
    record  BLOB NOT NULL
) STRICT;
CREATE INDEX receipt_episode ON receipt (episode);

CREATE TABLE credit (
    number  INTEGER PRIMARY KEY,
    receipt BLOB NOT NULL,
    memory  BLOB NOT NULL,
    record  BLOB NOT NULL,
    UNIQUE (receipt, memory)
) STRICT;
CREATE INDEX credit_memory ON credit (memory);

CREATE TABLE heuristic (
    number    INTEGER PRIMARY KEY,
    id        BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    namespace INTEGER NOT NULL REFERENCES namespace (number),
    record    BLOB NOT NULL
) STRICT;

-- What maintenance did, and what it would take to undo it.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    id     BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    at     INTEGER NOT NULL,
    record BLOB NOT NULL
) STRICT;

CREATE TABLE lineage (
    audit BLOB NOT NULL,
    child BLOB NOT NULL,
    parent BLOB NOT NULL,
    PRIMARY KEY (audit, child, parent)
) STRICT, WITHOUT ROWID;
