-- What is kept in the database (FILE_STORE=postgres). A content is there once, however often it is referred to; its bytes
-- lie in pieces of 1 MiB, so that it can be written and read without ever being whole in memory.
CREATE TABLE power.contents (
    id         uuid PRIMARY KEY,
    sha256     text NOT NULL,
    size       bigint NOT NULL,
    whole      boolean NOT NULL DEFAULT false, -- every piece is there
    touched_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX contents_sha256 ON power.contents (sha256) WHERE whole;
CREATE INDEX contents_touched ON power.contents (touched_at);
CREATE TABLE power.content_pieces (
    content uuid NOT NULL REFERENCES power.contents (id),
    n       int NOT NULL,
    bytes   bytea NOT NULL,
    PRIMARY KEY (content, n)
);
ALTER TABLE power.content_pieces ALTER COLUMN bytes SET STORAGE EXTERNAL; -- most files are compressed already

-- Which server's disk has the whole of a session's directory: what differs there is newer than these rows.
CREATE TABLE power.session_homes (
    principal  text NOT NULL,
    session_id text NOT NULL,
    home       uuid NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (principal, session_id)
);
-- The files of a session as they are in its directory. sha256 empty: an empty directory.
CREATE TABLE power.session_files (
    principal   text NOT NULL,
    session_id  text NOT NULL,
    path        text NOT NULL,
    path_key    text GENERATED ALWAYS AS (md5(path)) STORED, -- paths may be longer than an index takes
    size        bigint NOT NULL,
    mode        int NOT NULL,
    sha256      text NOT NULL,
    modified_ns bigint NOT NULL,
    changed_ns  bigint NOT NULL, -- these two as on the disk of its home
    inode       bigint NOT NULL,
    PRIMARY KEY (principal, session_id, path_key)
);
CREATE INDEX session_files_content ON power.session_files (sha256);

-- Variables of sessions: name empty = the latest, else a checkpoint that somebody named.
CREATE TABLE power.snapshots (
    owner      text NOT NULL,
    session_id text NOT NULL,
    name       text NOT NULL,
    facts      text NOT NULL, -- JSON
    size       bigint NOT NULL,
    sha256     text NOT NULL, -- empty: it made room for others
    created_at timestamptz NOT NULL,
    set_aside  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (owner, session_id, name)
);
CREATE INDEX snapshots_content ON power.snapshots (sha256);
-- The files that belong to a named one.
CREATE TABLE power.snapshot_files (
    owner      text NOT NULL,
    session_id text NOT NULL,
    name       text NOT NULL,
    path       text NOT NULL,
    path_key   text GENERATED ALWAYS AS (md5(path)) STORED,
    size       bigint NOT NULL,
    mode       int NOT NULL,
    sha256     text NOT NULL,
    PRIMARY KEY (owner, session_id, name, path_key)
);
CREATE INDEX snapshot_files_content ON power.snapshot_files (sha256);

-- Everything that refers to a content in the database: how often it occurs here is its reference count.
CREATE VIEW power.content_references AS
    SELECT sha256 FROM power.files WHERE content_location = 'db:' || sha256
    UNION ALL SELECT sha256 FROM power.session_files WHERE sha256 <> ''
    UNION ALL SELECT sha256 FROM power.snapshots WHERE sha256 <> ''
    UNION ALL SELECT sha256 FROM power.snapshot_files;

-- Keys of the store that must be the same wherever it is opened.
CREATE TABLE power.store_secrets (
    name  text PRIMARY KEY,
    value bytea NOT NULL
);
