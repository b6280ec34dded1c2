-- Who asks. Anonymous MCP and the bootstrap API_KEY are the principal 'owner'.
CREATE TABLE power.principals (
    id         text PRIMARY KEY,
    slug       text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    metadata   jsonb NOT NULL DEFAULT '{}'
);
INSERT INTO power.principals (id, slug) VALUES ('owner', 'owner');

-- Keys are kept as SHA-256 of the key; the prefix is what lists show.
CREATE TABLE power.api_keys (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    principal  text NOT NULL REFERENCES power.principals (id) ON DELETE CASCADE,
    key_sha256 bytea NOT NULL UNIQUE,
    prefix     text NOT NULL,
    name       text NOT NULL DEFAULT '',
    scopes     text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used  timestamptz,
    revoked_at timestamptz
);

-- One identity everywhere: (principal, session_id).
CREATE TABLE power.sessions (
    principal   text NOT NULL DEFAULT 'owner',
    session_id  text NOT NULL,
    name        text,
    description text,
    metadata    jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    last_used   timestamptz NOT NULL DEFAULT now(),
    is_active   boolean NOT NULL DEFAULT true,
    PRIMARY KEY (principal, session_id)
);
CREATE INDEX sessions_last_used ON power.sessions (principal, last_used DESC);

-- History, written behind. No reference to sessions: a run outlives its session, and may arrive before it.
CREATE TABLE power.runs (
    id          uuid PRIMARY KEY,
    principal   text NOT NULL,
    session_id  text NOT NULL,
    code_sha256 text NOT NULL,
    code_length bigint NOT NULL,
    status      text NOT NULL,
    cause       text,
    started_at  timestamptz NOT NULL,
    duration_ms bigint NOT NULL,
    outputs     jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX runs_session ON power.runs (principal, session_id, started_at DESC);
CREATE INDEX runs_started ON power.runs (started_at);

-- Files handed out (/dl and /charts). content_location: where the bytes are, e.g. 'sha256:<hex>'.
CREATE TABLE power.files (
    id               uuid PRIMARY KEY,
    principal        text NOT NULL,
    session_id       text NOT NULL,
    charts_slug      text NOT NULL,
    name             text NOT NULL,
    mime             text NOT NULL,
    size             bigint NOT NULL,
    sha256           text NOT NULL,
    content_location text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz,
    downloads        bigint NOT NULL DEFAULT 0
);
CREATE INDEX files_session ON power.files (principal, session_id, name, created_at DESC);
CREATE INDEX files_chart ON power.files (charts_slug, name, created_at DESC);
CREATE INDEX files_content ON power.files (sha256);
CREATE INDEX files_expiry ON power.files (expires_at) WHERE expires_at IS NOT NULL;

-- Persistent tables. session_id null: visible to every session of the principal.
CREATE TABLE power.datasets (
    id           uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    principal    text NOT NULL DEFAULT 'owner',
    session_id   text,
    name         text NOT NULL,
    table_schema text NOT NULL DEFAULT 'power',
    table_name   text NOT NULL,
    description  text,
    row_count    bigint NOT NULL DEFAULT 0,
    column_count int NOT NULL DEFAULT 0,
    columns      jsonb NOT NULL DEFAULT '[]',
    source       text,
    size_bytes   bigint NOT NULL DEFAULT 0,
    origin       text NOT NULL DEFAULT 'upload',
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (table_schema, table_name)
);
CREATE INDEX datasets_name ON power.datasets (principal, name);
