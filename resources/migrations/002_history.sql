-- Run history whole: the code, who sent it and how, what came out. Runs of one session are numbered from 1.
ALTER TABLE power.runs RENAME COLUMN outputs TO facts;
ALTER TABLE power.runs
    ADD COLUMN number          bigint,
    ADD COLUMN code            text NOT NULL DEFAULT '',
    ADD COLUMN context         text NOT NULL DEFAULT '',   -- JSON of the variables set before the run
    ADD COLUMN door            text NOT NULL DEFAULT '',
    ADD COLUMN execution_count int NOT NULL DEFAULT 0,
    ADD COLUMN error_name      text NOT NULL DEFAULT '',
    ADD COLUMN error_value     text NOT NULL DEFAULT '',
    ADD COLUMN inputs          jsonb NOT NULL DEFAULT '[]', -- files read: path, size, sha256 (null: not hashed)
    ADD COLUMN files           jsonb NOT NULL DEFAULT '[]', -- files written: path, size, sha256, file_id
    ADD COLUMN calls           jsonb NOT NULL DEFAULT '[]', -- what the code asked of the server
    -- JSON of the outputs as in a notebook, bounded. Text, not jsonb: outputs may hold what jsonb refuses, and are only read whole.
    ADD COLUMN outputs         text NOT NULL DEFAULT '[]',
    ADD COLUMN size_bytes      bigint NOT NULL DEFAULT 0;
UPDATE power.runs r SET number = n.number
  FROM (SELECT id, row_number() OVER (PARTITION BY principal, session_id ORDER BY started_at, id) AS number FROM power.runs) n
 WHERE n.id = r.id;
ALTER TABLE power.runs ALTER COLUMN number SET NOT NULL;
CREATE UNIQUE INDEX runs_number ON power.runs (principal, session_id, number);
DROP INDEX power.runs_session;
