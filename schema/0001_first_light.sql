-- The tables of the store. docs/store.md tells what each promise rests on.
--
-- Times in *_us are wall-clock microseconds since 1970 and for display only. Enumerations are those of daemon/view.h and
-- daemon/attempt.h. A measured value that was NaN is NULL.

CREATE TABLE searches (
    id INTEGER PRIMARY KEY,
    spec TEXT NOT NULL,             -- as submitted, verbatim
    resolved TEXT NOT NULL,         -- the same with all defaults and presets written out: what the search goes by
    state INTEGER NOT NULL,         -- enum search_state
    priority INTEGER NOT NULL,
    idempotency_key TEXT UNIQUE,
    created_us INTEGER NOT NULL,
    finished_us INTEGER
) STRICT;

-- What was proposed. A row never changes.
CREATE TABLE candidates (
    search INTEGER NOT NULL REFERENCES searches (id),
    number INTEGER NOT NULL,        -- 0, 1, 2, ... in order of proposal
    encoding BLOB NOT NULL,         -- one little-endian 16-bit option index a stage
    hash INTEGER NOT NULL,          -- architecture_hash
    params INTEGER NOT NULL,
    macs INTEGER NOT NULL,
    memory INTEGER NOT NULL,        -- activation bytes of one image
    seen INTEGER NOT NULL,          -- observations that the proposal had seen
    parent INTEGER,                 -- number of the candidate that it was mutated from
    created_us INTEGER NOT NULL,
    PRIMARY KEY (search, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    search INTEGER NOT NULL,
    candidate INTEGER NOT NULL,
    rung INTEGER NOT NULL,
    epoch INTEGER NOT NULL,         -- fencing number
    worker TEXT NOT NULL,
    slot INTEGER NOT NULL,
    micro_batches INTEGER NOT NULL,
    started_us INTEGER NOT NULL,
    ended_us INTEGER,
    outcome INTEGER,                -- enum outcome; NULL while running
    cause INTEGER,                  -- enum attempt_cause; NULL while running
    seconds REAL,
    first_step_s REAL,
    memory_needed INTEGER,          -- bytes, where it ran out of memory
    message TEXT,
    FOREIGN KEY (search, candidate) REFERENCES candidates (search, number)
) STRICT;
CREATE UNIQUE INDEX attempts_by_epoch ON attempts (epoch);
CREATE INDEX attempts_by_candidate ON attempts (search, candidate);
CREATE INDEX attempts_running ON attempts (id) WHERE outcome IS NULL;

-- The one accepted result of a candidate at a rung. A row never changes.
CREATE TABLE results (
    search INTEGER NOT NULL,
    candidate INTEGER NOT NULL,
    rung INTEGER NOT NULL,
    position INTEGER,               -- 0, 1, 2, ... in order of acceptance; NULL: kept but not counted (cancelled before)
    attempt INTEGER NOT NULL REFERENCES attempts (id),
    attempts INTEGER NOT NULL,      -- how many it took
    outcome INTEGER NOT NULL,       -- enum outcome
    accuracy REAL,
    loss REAL,
    step_s REAL,
    step_spread_s REAL,
    step_blocks INTEGER,
    baseline_s REAL,
    reward REAL,
    seconds REAL NOT NULL,
    images INTEGER NOT NULL,
    accepted_us INTEGER NOT NULL,
    PRIMARY KEY (search, candidate, rung),
    FOREIGN KEY (search, candidate) REFERENCES candidates (search, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX results_by_position ON results (search, position) WHERE position IS NOT NULL;

-- What an attempt reported after each pass over the training images.
CREATE TABLE epochs (
    attempt INTEGER NOT NULL REFERENCES attempts (id),
    number INTEGER NOT NULL,        -- 1-based
    train_loss REAL,
    train_accuracy REAL,
    validation_loss REAL,
    validation_accuracy REAL,
    seconds REAL,
    PRIMARY KEY (attempt, number)
) STRICT, WITHOUT ROWID;

-- What event streams tell. Old rows are dropped from the front.
CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    kind INTEGER NOT NULL,          -- enum event_kind
    search INTEGER NOT NULL,
    candidate INTEGER,
    attempt INTEGER,
    epoch INTEGER,
    outcome INTEGER,
    accuracy REAL,
    loss REAL
) STRICT;

-- Data sets that workers have announced.
CREATE TABLE datasets (
    name TEXT PRIMARY KEY,
    image_size INTEGER NOT NULL,
    image_channels INTEGER NOT NULL,
    classes INTEGER NOT NULL,
    train_images INTEGER NOT NULL,
    test_images INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- One row that is rewritten to see whether writes work again after a failure.
CREATE TABLE probe (
    count INTEGER NOT NULL
) STRICT;
INSERT INTO probe (count) VALUES (0);
