-- Checkpoints that candidates continue from, and whether a step time can be relied on.

-- The newest checkpoint of an unfinished candidate at a rung. Its file is STATE/artifacts/SHA256; a file without a row goes.
CREATE TABLE checkpoints (
    search INTEGER NOT NULL,
    candidate INTEGER NOT NULL,
    rung INTEGER NOT NULL,
    attempt INTEGER NOT NULL REFERENCES attempts (id), -- that wrote it
    sha256 BLOB NOT NULL,           -- 32 bytes
    bytes INTEGER NOT NULL,
    steps_done INTEGER NOT NULL,
    stored_us INTEGER NOT NULL,
    PRIMARY KEY (search, candidate, rung),
    FOREIGN KEY (search, candidate) REFERENCES candidates (search, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX checkpoints_by_content ON checkpoints (sha256);

-- Paused searches: 1 = running attempts are asked to hand their tasks back, 0 = they are let finish.
ALTER TABLE searches ADD COLUMN hand_back INTEGER NOT NULL DEFAULT 0;

-- 1 = the spread of the step time stayed above the limit however often it was measured.
ALTER TABLE results ADD COLUMN step_contended INTEGER NOT NULL DEFAULT 0;
