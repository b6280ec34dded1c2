-- Servers on this database. A job that needs a session's files waits for the server that has them, as long as that one lives.
CREATE TABLE power.nodes (
    id         text PRIMARY KEY,                        -- kept in the server's DATA_DIR
    instance   text NOT NULL,                           -- of this start
    seen_at    timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz NOT NULL DEFAULT now(),
    facts      jsonb NOT NULL DEFAULT '{}'
);

-- Higher than every one given before: who holds a smaller one for a job writes nothing any more.
CREATE SEQUENCE power.job_fences;

CREATE TABLE power.jobs (
    id               uuid PRIMARY KEY,
    principal        text NOT NULL DEFAULT 'owner',
    slug             text NOT NULL DEFAULT '',
    session_id       text NOT NULL,
    kind             text NOT NULL DEFAULT 'job',       -- 'job': queued; 'run': a call that was answered as a task
    code             text NOT NULL,
    context          text NOT NULL DEFAULT '',          -- JSON of variables set before the run
    metadata         text NOT NULL DEFAULT '{}',        -- JSON, the submitter's own
    door             text NOT NULL DEFAULT '',
    options          jsonb NOT NULL DEFAULT '{}',
    timeout_s        int NOT NULL,
    priority         int NOT NULL DEFAULT 0,            -- higher first
    max_attempts     int NOT NULL DEFAULT 1,            -- runs in all when it fails
    requeue_if_lost  boolean NOT NULL DEFAULT false,    -- else it ends as interrupted when its server dies
    inherit          boolean NOT NULL DEFAULT false,
    inherited        jsonb NOT NULL DEFAULT '{}',       -- what of the session's variables was kept for it
    home             text,                              -- node with the files of its session; null: any may run it
    idempotency_key  text,
    request_sha256   text NOT NULL DEFAULT '',
    schedule_id      uuid,
    scheduled_for    timestamptz,

    state            text NOT NULL DEFAULT 'queued'
                     CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'interrupted')),
    submitted_at     timestamptz NOT NULL DEFAULT now(),
    not_before       timestamptz NOT NULL DEFAULT now(),
    started_at       timestamptz,                       -- of the latest attempt
    completed_at     timestamptz,
    attempts         int NOT NULL DEFAULT 0,
    node             text,                              -- of the latest attempt
    fence            bigint NOT NULL DEFAULT 0,
    lease_until      timestamptz,
    cancel_requested boolean NOT NULL DEFAULT false,

    tail             text NOT NULL DEFAULT '',          -- end of the output so far
    output_bytes     bigint NOT NULL DEFAULT 0,
    progress         text NOT NULL DEFAULT '',          -- JSON of what the code itself told
    cause            text NOT NULL DEFAULT '',          -- typed: timeout, memory_limit, server_lost ...
    error_message    text,
    error_traceback  text,
    execution_ms     bigint,
    peak_memory      bigint,
    result           text,                              -- JSON: the answer for programs
    blocks           text                               -- JSON: the answer for models, images included
);
CREATE INDEX jobs_queue ON power.jobs (priority DESC, submitted_at, id) WHERE state = 'queued';
CREATE INDEX jobs_running ON power.jobs (node) WHERE state = 'running';
CREATE INDEX jobs_list ON power.jobs (principal, submitted_at DESC);
CREATE INDEX jobs_session ON power.jobs (principal, session_id, submitted_at DESC);
CREATE INDEX jobs_completed ON power.jobs (completed_at) WHERE completed_at IS NOT NULL;
CREATE UNIQUE INDEX jobs_idempotency ON power.jobs (principal, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX jobs_scheduled ON power.jobs (schedule_id, scheduled_for) WHERE schedule_id IS NOT NULL;

-- Every time code of a job was started, or was about to be.
CREATE TABLE power.job_attempts (
    job_id     uuid NOT NULL REFERENCES power.jobs (id) ON DELETE CASCADE,
    attempt    int NOT NULL,
    fence      bigint NOT NULL,
    node       text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz,
    ending     text NOT NULL DEFAULT '',                -- a state of jobs, or requeued
    PRIMARY KEY (job_id, attempt)
);

-- Who is told when a job has ended. next_at is null until then.
CREATE TABLE power.job_webhooks (
    job_id       uuid PRIMARY KEY REFERENCES power.jobs (id) ON DELETE CASCADE,
    url          text NOT NULL,
    secret       text NOT NULL,
    attempts     int NOT NULL DEFAULT 0,
    next_at      timestamptz,
    delivered_at timestamptz,
    failed_at    timestamptz,
    last_problem text NOT NULL DEFAULT ''
);
CREATE INDEX job_webhooks_due ON power.job_webhooks (next_at) WHERE next_at IS NOT NULL;

-- What makes jobs by the clock.
CREATE TABLE power.job_schedules (
    id          uuid PRIMARY KEY,
    principal   text NOT NULL DEFAULT 'owner',
    slug        text NOT NULL DEFAULT '',
    name        text NOT NULL,
    cron        text,                                   -- five fields; null: once, at next_at
    zone        text NOT NULL DEFAULT 'UTC',            -- IANA name the fields are read in
    missed      text NOT NULL DEFAULT 'once',           -- runs that fell into a time without a server: skip | once | all
    template    text NOT NULL,                          -- JSON of the job: code, session_id, timeout ...
    home        text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    next_at     timestamptz,                            -- null: over
    last_at     timestamptz,
    last_job    uuid,
    last_note   text NOT NULL DEFAULT '',
    UNIQUE (principal, name)
);
CREATE INDEX job_schedules_due ON power.job_schedules (next_at) WHERE next_at IS NOT NULL;
